//! The private Redis: a child process on a unix socket in the data directory.
//!
//! A dedicated thread starts it and restarts it on the same data when it exits. It stops with the
//! service, also when the service is killed with SIGKILL. A lock on the data directory, which the
//! child inherits, ensures that one directory has one Redis.

mod data_dir;
mod memory;
mod supervisor;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use redis::{Client, ErrorKind, ServerErrorKind};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Fsync;
use data_dir::{Paths, lock, socket_path};
use supervisor::{Shared, Supervisor, find_server};

/// How long Redis may take to load its data; enough for some 50 million messages.
const LOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// How long Redis may take to stop after each of SHUTDOWN, SIGTERM and SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the private Redis did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "no redis-server or valkey-server found: install one (apt-get install redis-server, brew \
         install redis), or set DUOLOGUE_REDIS_URL to an existing Redis"
    )]
    NoServer,
    #[error("the data directory {0} cannot be used: {1} (DUOLOGUE_DATA_DIR)")]
    DataDir(PathBuf, io::Error),
    #[error("the data directory {0} is used by another Duologue (DUOLOGUE_DATA_DIR)")]
    Locked(PathBuf),
    #[error("the private Redis does not answer; see {0}")]
    Unresponsive(PathBuf),
}

/// A running private Redis.
pub struct RedisProcess {
    paths: Paths,
    shared: Arc<Shared>,
    has_failed: watch::Receiver<bool>,
}

impl RedisProcess {
    /// Starts a Redis on the data in `dir`, which is created if missing, and waits until it has
    /// loaded them.
    pub async fn start(
        dir: &Path,
        fsync: Fsync,
        maxmemory: Option<ByteSize>,
    ) -> Result<Self, StartError> {
        let unusable = |e| StartError::DataDir(dir.to_owned(), e);
        let server = find_server().ok_or(StartError::NoServer)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(unusable)?;
        let dir = dir.canonicalize().map_err(unusable)?;
        let paths = Paths {
            socket: socket_path(&dir).map_err(unusable)?,
            log: dir.join("redis.log"),
            dir,
        };
        let lock = lock(&paths).await?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
        });
        let (failure, has_failed) = watch::channel(false);
        let supervisor = Supervisor {
            server,
            paths: paths.clone(),
            fsync,
            maxmemory: maxmemory.unwrap_or_else(memory::three_quarters),
            lock,
            shared: shared.clone(),
            has_failed: failure,
        };
        thread::Builder::new()
            .name("redis".into())
            .spawn(move || supervisor.run())
            .map_err(unusable)?;
        let process = Self {
            paths,
            shared,
            has_failed,
        };
        process.ready().await?;
        Ok(process)
    }

    /// The URL to connect to.
    pub fn url(&self) -> String {
        format!("unix://{}", self.paths.socket.display())
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.shared
            .state()
            .pid
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    /// Waits until it has failed so often that it is not restarted; returns the path of its log.
    pub async fn failed(&mut self) -> String {
        // An error means that the supervising thread has ended, so Redis is not restarted either.
        let _ = self.has_failed.wait_for(|failed| *failed).await;
        self.paths.log.display().to_string()
    }

    /// Stops it with SHUTDOWN, then SIGTERM, then SIGKILL.
    pub async fn stop(self) {
        self.shared.state().stopping = true;
        let socket = self.paths.socket.clone();
        // An error is expected: Redis closes the connection instead of answering.
        let shutdown = move || send_command(&socket, &redis::cmd("SHUTDOWN"));
        let _ = tokio::task::spawn_blocking(shutdown).await;
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                self.shared.signal(signal);
            }
            let deadline = Instant::now() + STOP_TIMEOUT;
            while self.shared.state().pid.is_some() && Instant::now() < deadline {
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Waits for a PONG. Redis answers LOADING while it loads its data.
    async fn ready(&self) -> Result<(), StartError> {
        let deadline = Instant::now() + LOAD_TIMEOUT;
        let mut loading = false;
        loop {
            let socket = self.paths.socket.clone();
            let ping = move || send_command(&socket, &redis::cmd("PING"));
            match tokio::task::spawn_blocking(ping).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(e))
                    if e.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading)
                        && !std::mem::replace(&mut loading, true) =>
                {
                    tracing::info!("the private Redis is loading its data");
                }
                _ => {}
            }
            if *self.has_failed.borrow() || Instant::now() > deadline {
                self.shared.state().stopping = true;
                self.shared.signal(Signal::KILL);
                return Err(StartError::Unresponsive(self.paths.log.clone()));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Stops it without waiting, when the rest of the service could not be built.
impl Drop for RedisProcess {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.signal(Signal::TERM);
    }
}

/// Sends one command over a new connection.
fn send_command(socket: &Path, command: &redis::Cmd) -> redis::RedisResult<()> {
    let client = Client::open(format!("unix://{}", socket.display()))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(STOP_TIMEOUT))?;
    command.exec(&mut connection)
}
