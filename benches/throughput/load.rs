//! The programs that make the load, and what they report.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::Outcome;
use crate::process::{duologue, run};
use crate::store::Redis;

/// Connections, and so requests in flight.
pub const CONNECTIONS: u32 = 64;
/// Users; each writes with the ten before and the ten after it.
const USERS: u32 = 10_000;
const PEERS: u32 = 10;
/// One of so many users sends with a token.
const STRIDE: u32 = 20;

/// What a load generator saw.
pub struct Load {
    pub requests: u32,
    pub per_second: f64,
    /// Milliseconds that half of the requests took at most, and 99 of 100; none if it does not say.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// The text of every message.
pub fn body() -> String {
    "x".repeat(100)
}

/// What wrk asks for: a script of its own kind, in a file.
#[derive(Clone)]
pub struct Requests(PathBuf);

impl Requests {
    /// Sends between users who are drawn for each request.
    pub fn sends(dir: &Path) -> Outcome<Self> {
        let draw = format!(
            "local a = math.random(0, {USERS} - 1)\n\
             local b = (a + math.random({PEERS})) % {USERS}\n\
             if math.random(2) == 1 then a, b = b, a end"
        );
        Self::posts(dir, "sends.lua", "", &draw, "user%05d", "user%05d")
    }

    /// The users who send in [`Self::sends_with`], and so those who need a token.
    pub fn senders() -> impl Iterator<Item = String> {
        (0..USERS)
            .step_by(STRIDE as usize)
            .map(|number| format!("user{number:05}"))
    }

    /// Sends from each of the [`Self::senders`], with its own one of these tokens; without any
    /// token if there are none.
    pub fn sends_with(dir: &Path, name: &str, tokens: &[String]) -> Outcome<Self> {
        let tokens: String = tokens
            .iter()
            .flat_map(|token| ["'Bearer ", token, "',\n"])
            .collect();
        let draw = format!(
            "local sender = math.random({USERS} / {STRIDE})\n\
             local a = (sender - 1) * {STRIDE}\n\
             local b = (a + math.random({PEERS})) % {USERS}\n\
             headers['Authorization'] = tokens[sender]"
        );
        let tokens = format!("local tokens = {{\n{tokens}}}");
        Self::posts(dir, name, &tokens, &draw, "user%05d", "user%05d")
    }

    /// Sends from one user to one other.
    pub fn sends_between(dir: &Path, from: &str, to: &str) -> Outcome<Self> {
        Self::posts(
            dir,
            &format!("{from}-{to}.lua"),
            "",
            "local a, b = '', ''",
            &format!("{from}%s"),
            &format!("{to}%s"),
        )
    }

    /// `once` runs before everything, `draw` before each request; it names users `a` and `b`.
    fn posts(
        dir: &Path,
        name: &str,
        once: &str,
        draw: &str,
        from: &str,
        to: &str,
    ) -> Outcome<Self> {
        let body = body();
        let lua = format!(
            r#"local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set('number', threads)
end
function init()
  math.randomseed(os.time() + number)
end
local headers = {{ ['Content-Type'] = 'application/json' }}
{once}
function request()
  {draw}
  local json = string.format('{{"from":"{from}","to":"{to}","body":"{body}"}}', a, b)
  return wrk.format('POST', '/messages', headers, json)
end
"#
        );
        Self::write(dir, name, &lua)
    }

    /// Reads of one thing.
    pub fn reads(dir: &Path, name: &str, path: &str) -> Outcome<Self> {
        let lua = format!("function request()\n  return wrk.format('GET', '{path}')\nend\n");
        Self::write(dir, name, &lua)
    }

    fn write(dir: &Path, name: &str, lua: &str) -> Outcome<Self> {
        let file = dir.join(name);
        fs::write(&file, lua)?;
        Ok(Self(file))
    }

    /// Sends them for some seconds over so many connections. Every one must succeed.
    pub fn send(&self, url: &str, seconds: u32, connections: u32) -> Outcome<Load> {
        let text = run(Command::new("wrk")
            .args(["--threads", "2", "--latency"])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &seconds.to_string()])
            .arg("--script")
            .arg(&self.0)
            .arg(url))?;
        for failure in ["Non-2xx", "Socket errors"] {
            if let Some(line) = text.lines().find(|line| line.contains(failure)) {
                return Err(format!("wrk: {}", line.trim()).into());
            }
        }
        let after = |label: &str| {
            let line = text.lines().find(|line| line.trim().starts_with(label));
            line.and_then(|line| line.split_whitespace().nth(1))
        };
        let requests = text
            .lines()
            .find_map(|line| line.split_once(" requests in"));
        let load = || {
            Some(Load {
                requests: requests?.0.trim().parse().ok()?,
                per_second: after("Requests/sec:")?.parse().ok()?,
                p50: Some(milliseconds(after("50%")?)?),
                p99: Some(milliseconds(after("99%")?)?),
            })
        };
        load().ok_or_else(|| format!("wrk printed something new:\n{text}").into())
    }
}

/// A time as wrk writes it: `873.00us`, `1.20ms`, `1.01s`.
fn milliseconds(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let factor = match &text[number.len()..] {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// Runs the bare script through redis-benchmark: as many in flight as there are connections of
/// wrk, sixteen in a pipeline, as many keys as there are conversations.
pub fn bare_script(redis: &mut Redis, requests: u32) -> Outcome<Load> {
    const PIPELINE: u32 = 16;
    let sha = redis.load_bare()?;
    redis.forget_bare()?;
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
    // "command",rps,avg,min,p50,p95,p99,max, and the command may hold commas and quotes.
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
    load().ok_or_else(|| format!("redis-benchmark printed something new:\n{text}").into())
}

/// Messages from elsewhere: a file of them, and how many they are.
pub struct History {
    file: PathBuf,
    messages: u32,
}

impl History {
    /// Messages between these users, a line each, in the order of their times.
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

    /// Imports them, as a person would who moves here.
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

/// Sends one message.
pub fn send_one(url: &str, from: &str, to: &str) -> Outcome<()> {
    let address = url.trim_start_matches("http://");
    let json = format!(r#"{{"from":"{from}","to":"{to}","body":"{}"}}"#, body());
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /messages HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 201 ") {
        return Ok(());
    }
    Err(format!("a message was answered with {answer}").into())
}
