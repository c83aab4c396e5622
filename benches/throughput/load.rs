//! Load besides `wrk`: `redis-benchmark`, imports and single messages.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::Outcome;
use crate::messages::{body, send_request};
use crate::process::{duologue, run};
use crate::store::Redis;

/// Number of connections, and of requests in flight.
pub const CONNECTIONS: u32 = 64;
/// Users; each exchanges messages with the ten before and the ten after it.
pub const USERS: u32 = 10_000;
pub const PEERS: u32 = 10;

/// What a load generator reports.
pub struct Load {
    pub requests: u32,
    pub per_second: f64,
    /// Latencies in milliseconds; `None` if the generator does not report them.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// Runs the bare script through `redis-benchmark`, with as many calls in flight as `wrk` has
/// connections, in pipelines of sixteen, and as many keys as there are conversations.
pub fn bare_script(redis: &mut Redis, requests: u32) -> Outcome<Load> {
    const PIPELINE: u32 = 16;
    let sha = redis.load_bare()?;
    redis.flush_bare()?;
    let json = format!(
        r#"{{"seq":1,"id":"0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47","from":"user00001","to":"user00002","body":"{}","sent_at":"2026-01-31T12:00:00.000Z"}}"#,
        body()
    );
    let text = run(Command::new("redis-benchmark")
        .arg("-s")
        .arg(&redis.socket)
        .args(["--dbnum", "1", "--csv", "-P", &PIPELINE.to_string()])
        .args(["-c", &(CONNECTIONS / PIPELINE).to_string()])
        .args(["-r", &(USERS * PEERS).to_string()])
        .args(["-n", &requests.to_string()])
        .args(["EVALSHA", &sha, "2"])
        .args(["dm:{0}:messages:__rand_int__", "dm:{0}:unread:__rand_int__"])
        .args(["user00002", &json]))?;
    // "command",rps,avg,min,p50,p95,p99,max. Parsed from the end, because the command may contain
    // commas and quotes.
    let line = text.lines().next_back().unwrap_or_default();
    let mut numbers = line.rsplit(',').map(|n| n.trim_matches('"').parse().ok());
    let mut next = || numbers.next().flatten();
    let mut load = || {
        let (_max, p99, _p95, p50) = (next()?, next()?, next()?, next()?);
        let (_min, _avg, per_second) = (next()?, next()?, next()?);
        Some(Load {
            requests,
            per_second,
            p50: Some(p50),
            p99: Some(p99),
        })
    };
    load().ok_or_else(|| format!("redis-benchmark printed an unknown format:\n{text}").into())
}

/// A file of messages to import.
pub struct History {
    file: PathBuf,
    messages: u32,
}

impl History {
    /// Writes one message from each of these pairs of sender and recipient, ordered by time.
    pub fn write(
        dir: &Path,
        name: &str,
        users: impl Iterator<Item = (String, String)>,
    ) -> Outcome<Self> {
        let file = dir.join(name);
        let (mut lines, mut messages) = (BufWriter::new(File::create(&file)?), 0);
        for (from, to) in users {
            messages += 1;
            let (seconds, millis) = (messages / 1000, messages % 1000);
            let (minutes, seconds) = (seconds / 60, seconds % 60);
            writeln!(
                lines,
                r#"{{"from":"{from}","to":"{to}","body":"{}","sent_at":"2020-01-31T12:{minutes:02}:{seconds:02}.{millis:03}Z"}}"#,
                body()
            )?;
        }
        lines.flush()?;
        Ok(Self { file, messages })
    }

    /// Imports the file with `duologue import`.
    pub fn import(&self, url: &str) -> Outcome<Load> {
        let begin = Instant::now();
        run(duologue()
            .arg("import")
            .arg(&self.file)
            .args(["--url", url]))?;
        Ok(Load {
            requests: self.messages,
            per_second: f64::from(self.messages) / begin.elapsed().as_secs_f64(),
            p50: None,
            p99: None,
        })
    }
}

/// Sends one message over a connection of its own.
pub fn send_one(url: &str, from: &str, to: &str) -> Outcome<()> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(send_request(address, from, to, &body()).as_bytes())?;
    let mut status = [0; "HTTP/1.1 201 ".len()];
    stream.read_exact(&mut status)?;
    if status == *b"HTTP/1.1 201 " {
        return Ok(());
    }
    let mut response = String::from_utf8_lossy(&status).into_owned();
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_string(&mut response)?;
    Err(format!("sending a message failed: {response}").into())
}
