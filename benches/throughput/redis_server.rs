//! A `redis-server` on a TCP port: one Redis, a replica, or a node of a cluster.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue, InfoDict};
use tempfile::TempDir;

use crate::Outcome;
use crate::store::calls_of;

/// How long a server may take to start, or to reach a state.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts to start a server: a port that was free a moment ago may be in use.
const ATTEMPTS: usize = 5;

/// Runs the server of the arguments until it ends, or until the standard input does. So no server outlives
/// the benchmark, however that ends.
const SHELL: &str = r#"exec 3<&0
redis-server "$@" &
server=$!
{ read -r _ <&3; kill -9 $server; } &
wait $server"#;

/// A server with an append-only file. Killed when dropped.
pub struct RedisServer {
    connection: Connection,
    pub port: u16,
    /// The port at which nodes of a cluster talk to each other.
    pub cluster_port: u16,
    /// The process of the server, not of the shell.
    pub pid: u32,
    // Fields are dropped in order, so the server stops before its folder is removed.
    _shell: Shell,
    _dir: TempDir,
}

impl RedisServer {
    /// Starts a server with these options and waits until it answers.
    pub fn start(options: &[&str]) -> Outcome<Self> {
        Self::start_with(options, false)
    }

    /// The same for a server that becomes a node of a cluster.
    pub fn start_for_cluster() -> Outcome<Self> {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
        Self::start_with(&options, true)
    }

    fn start_with(options: &[&str], in_cluster: bool) -> Outcome<Self> {
        for _ in 0..ATTEMPTS {
            let (port, cluster_port) = free_ports()?;
            let mut options: Vec<_> = options.iter().map(ToString::to_string).collect();
            if in_cluster {
                options.extend(["--cluster-port".to_owned(), cluster_port.to_string()]);
            }
            let dir = tempfile::Builder::new().prefix("duologue-").tempdir()?;
            let mut shell = Shell::spawn(dir.path(), port, &options)?;
            if let Some(mut connection) = shell.connect(port)? {
                let info: InfoDict = redis::cmd("INFO").query(&mut connection)?;
                return Ok(Self {
                    connection,
                    port,
                    cluster_port,
                    pid: info.get("process_id").ok_or("no process_id in INFO")?,
                    _shell: shell,
                    _dir: dir,
                });
            }
        }
        Err("redis-server does not start".into())
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command, given as words with spaces between them.
    pub fn run<T: FromRedisValue>(&mut self, command: &str) -> Outcome<T> {
        let words: Vec<_> = command.split(' ').collect();
        let mut cmd = redis::cmd(words[0]);
        let reply = cmd.arg(&words[1..]).query(&mut self.connection);
        reply.map_err(|error| format!("{command}: {error}").into())
    }

    /// The number of calls of some commands, and the microseconds that the server spent in them.
    pub fn calls_of(&mut self, commands: &[&str]) -> Outcome<(f64, f64)> {
        calls_of(&mut self.connection, commands)
    }

    /// Whether a replica confirms a change.
    pub fn has_replica(&mut self) -> Outcome<bool> {
        // A change without a key, which each node of a cluster accepts.
        self.run::<()>("FUNCTION FLUSH")?;
        Ok(self.run::<u8>("WAIT 1 100")? >= 1)
    }
}

/// The shell that runs a server.
struct Shell(Child);

impl Shell {
    fn spawn(dir: &Path, port: u16, options: &[String]) -> Outcome<Self> {
        let child = Command::new("sh")
            .args(["-c", SHELL, "redis-server", "--bind", "127.0.0.1"])
            .args(["--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--repl-diskless-sync-delay", "0"])
            .arg("--dir")
            .arg(dir)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C interrupts the benchmark between two rounds, not its servers within one.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Connects to the server; `None` if it ends before it answers.
    fn connect(&mut self, port: u16) -> Outcome<Option<Connection>> {
        let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
        let mut connection = None;
        wait_until("redis-server answers", || {
            connection = client.get_connection().ok();
            Ok(connection.is_some() || self.0.try_wait()?.is_some())
        })?;
        Ok(connection)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Two ports that are free now.
pub fn free_ports() -> Outcome<(u16, u16)> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (one, other) = (listen()?, listen()?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

/// Polls until a condition holds; fails after the timeout.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(format!("not within {TIMEOUT:?}: {what}").into());
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
