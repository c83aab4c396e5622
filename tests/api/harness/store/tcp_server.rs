//! A `redis-server` on a TCP port: a node of a cluster, a sentinel, a master or a replica.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::store::redis_server::connect;

/// A server without persistence on a port of its own. Killed when dropped.
pub struct TcpServer {
    pub port: u16,
    child: Child,
    _dir: TempDir,
}

impl TcpServer {
    /// Starts a server with these options and waits until it answers.
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(options, "")
    }

    /// The same, with the text of a configuration file. `PORT` in an option is another free port.
    pub fn start_with(options: &[&str], config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redis.conf"), config).unwrap();
        // A port that was free a moment ago may be taken by another test, which ends the server.
        for _ in 0..10 {
            let port = free_port();
            let other = free_port().to_string();
            let options = options.iter().map(|option| option.replace("PORT", &other));
            let options: Vec<_> = options.collect();
            let mut child = spawn(dir.path(), port, &options);
            if answers(&mut child, port) {
                return Self {
                    port,
                    child,
                    _dir: dir,
                };
            }
        }
        panic!("redis-server finds no free port");
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    pub fn connect(&self) -> redis::Connection {
        connect(&self.url())
    }

    /// Runs a command whose reply does not matter.
    pub fn run(&self, command: &str) {
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        let done = cmd.arg(words.collect::<Vec<_>>()).exec(&mut self.connect());
        done.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        // SIGKILL also ends a process stopped by SIGSTOP.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(dir: &Path, port: u16, options: &[String]) -> Child {
    Command::new("redis-server")
        .arg(dir.join("redis.conf"))
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--dir"])
        .arg(dir)
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether a server answers on the port before it exits.
fn answers(child: &mut Child, port: u16) -> bool {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let pong = || redis::cmd("PING").exec(&mut client.get_connection()?);
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if pong().is_ok() {
            return true;
        }
        assert!(Instant::now() < deadline, "redis-server does not answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
