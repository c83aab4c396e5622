//! A `redis-server` that a test starts, kills and restarts.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::ConnectionLike;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A `redis-server` on a unix socket in its own folder. Killed when dropped.
pub struct RedisServer {
    child: Child,
    /// A program that runs the server, with its options; empty if none does.
    under: Vec<String>,
    options: Vec<String>,
    dir: TempDir,
}

impl RedisServer {
    /// Starts a server without persistence.
    pub fn volatile() -> Self {
        Self::start(&["--save", "", "--appendonly", "no"])
    }

    /// Starts a server that flushes every write to disk before it acknowledges.
    pub fn durable() -> Self {
        Self::start(&[
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
    }

    pub fn start(options: &[&str]) -> Self {
        Self::start_under(&[], options)
    }

    /// Starts a server that another program runs, for example valgrind.
    pub fn start_under(program: &[&str], options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let owned = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        let (under, options) = (owned(program), owned(options));
        let child = spawn(&dir, &under, &options);
        let server = Self {
            child,
            under,
            options,
            dir,
        };
        server.wait();
        server
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn connect(&self) -> redis::Connection {
        connect(&self.url())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        signal_pid(self.child.id(), signal);
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a killed server on its data again and waits until it is ready.
    pub fn restart(&mut self) {
        self.child = spawn(&self.dir, &self.under, &self.options);
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let client = redis::Client::open(self.url()).unwrap();
        let pong = || redis::cmd("PING").exec(&mut client.get_connection()?);
        while let Err(error) = pong() {
            assert!(
                Instant::now() < deadline,
                "redis-server does not answer: {error}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL also ends a process stopped by SIGSTOP.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir, under: &[String], options: &[String]) -> Child {
    let words: Vec<_> = under.iter().map(String::as_str).collect();
    let words = [&words, &["redis-server"][..]].concat();
    Command::new(words[0])
        .args(&words[1..])
        .args(["--port", "0"])
        .args(options)
        .arg("--dir")
        .arg(dir.path())
        .arg("--unixsocket")
        .arg(dir.path().join("redis.sock"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn connect(url: &str) -> redis::Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

/// Connects to the node that has a key, if the URL is one of a cluster.
pub fn connect_to_key(url: &str, key: &str) -> redis::Connection {
    let Some(nodes) = url.strip_prefix("redis+cluster://") else {
        return connect(url);
    };
    let mut any = connect(&format!("redis://{}", nodes.split(',').next().unwrap()));
    let found = redis::cmd("TYPE").arg(key).exec(&mut any);
    match found.as_ref().map_err(redis::RedisError::redirect_node) {
        Err(Some((address, _))) => connect(&format!("redis://{address}")),
        _ => any,
    }
}

/// Sets `maxmemory` to a value that is already used up, or to none.
pub fn set_full(redis: &mut impl ConnectionLike, full: bool) {
    let limit = if full { "1" } else { "0" };
    let mut config = redis::cmd("CONFIG");
    config.arg("SET").arg("maxmemory").arg(limit);
    config.exec(redis).unwrap();
}

/// The process id from `INFO`.
pub fn pid_of(url: &str) -> u32 {
    let info = redis::cmd("INFO")
        .arg("server")
        .query::<redis::InfoDict>(&mut connect(url));
    info.unwrap().get("process_id").unwrap()
}

pub fn signal_pid(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether a process is running; a zombie is not.
pub fn runs(pid: u32) -> bool {
    let stat = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(stat.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// The URL of the Redis that a service with this data directory starts.
pub fn embedded_url(dir: &Path) -> String {
    format!("unix://{}/redis.sock", dir.display())
}
