//! A `redis-server` on a TCP port: a node of a cluster, a sentinel, a master or a replica.
//!
//! A shell starts the server and kills it when its standard input ends, so that no server outlives the process
//! of the tests, however that ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::store::network::Host;
use crate::harness::store::redis_server::{connect, pid_of, signal_pid};

/// Runs the server of the arguments until it ends, or until the standard input does.
const SHELL: &str = r#"exec 3<&0
redis-server "$@" &
server=$!
{ read -r _ <&3; kill -9 $server; } &
wait $server"#;

/// A server without persistence on a port of its own. Killed when dropped.
pub struct TcpServer {
    pub port: u16,
    pub host: Host,
    pid: u32,
    child: Child,
    options: Vec<String>,
    dir: TempDir,
}

impl TcpServer {
    /// Starts a server with these options and waits until it answers. Each option `PORT` is another free port.
    pub fn start(options: &[&str]) -> Self {
        Self::start_on(&Host::local(), options)
    }

    /// The same on a host.
    pub fn start_on(host: &Host, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A sentinel keeps what it learns in its configuration.
        std::fs::write(dir.path().join("redis.conf"), "").unwrap();
        // A port that was free a moment ago may be taken by another test, which ends the server.
        for _ in 0..10 {
            let port = free_port();
            let options = options.iter().map(|option| match *option {
                "PORT" => free_port().to_string(),
                option => option.to_owned(),
            });
            let options: Vec<_> = options.collect();
            let mut child = spawn(host, dir.path(), port, &options);
            if answers(&mut child, host, port) {
                return Self {
                    port,
                    host: host.clone(),
                    pid: pid_of(&format!("redis://{}:{port}", host.ip)),
                    child,
                    options,
                    dir,
                };
            }
        }
        panic!("redis-server finds no free port");
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.host.ip, self.port)
    }

    /// The value of an option, if it was given.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter().skip_while(|option| *option != name);
        options.nth(1).map(String::as_str)
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

    pub fn signal(&self, signal: Signal) {
        signal_pid(self.pid, signal);
    }

    /// Sends SIGKILL, which also ends a stopped server, and waits for the end.
    pub fn kill(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }

    /// Starts a killed server on its port again and waits until it answers.
    pub fn restart(&mut self) {
        self.child = spawn(&self.host, self.dir.path(), self.port, &self.options);
        let answers = answers(&mut self.child, &self.host, self.port);
        assert!(answers, "it does not restart");
        self.pid = pid_of(&self.url());
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(host: &Host, dir: &Path, port: u16, options: &[String]) -> Child {
    host.command("sh")
        .args(["-c", SHELL, "redis-server"])
        .arg(dir.join("redis.conf"))
        .args(["--port", &port.to_string(), "--bind", &host.ip])
        .args(["--protected-mode", "no"])
        .args(["--save", "", "--dir"])
        .arg(dir)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether a server answers on the port before it exits.
fn answers(child: &mut Child, host: &Host, port: u16) -> bool {
    let client = redis::Client::open(format!("redis://{}:{port}", host.ip)).unwrap();
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
