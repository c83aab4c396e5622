//! The private Redis: a child of this process, on a unix socket in the data directory.
//!
//! Started by a thread that lives as long as it does, restarted by it on the same data when it
//! dies, stopped with the service, and never left behind: a service killed with SIGKILL takes its
//! Redis along. One directory has one Redis: a lock on it is inherited by the child, so it lasts
//! until the last of both is gone.

mod folder;
mod keeper;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, ErrorKind, ServerErrorKind};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Fsync;
use folder::{Place, lock, socket_path};
use keeper::{Keeper, Shared, find_server};

/// How long Redis may take to read its data: some 50 million messages.
const LOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// How long Redis may take to stop, at each of three degrees of insistence.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the private Redis did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error(
        "no redis-server or valkey-server found: install one (apt-get install redis-server, brew \
         install redis), or set DUOLOGUE_REDIS_URL to a Redis of your own"
    )]
    NoServer,
    #[error("the data folder {0} cannot be used: {1} (DUOLOGUE_DATA_DIR)")]
    Folder(PathBuf, io::Error),
    #[error("the data folder {0} is used by another Duologue (DUOLOGUE_DATA_DIR)")]
    Locked(PathBuf),
    #[error("the private Redis does not answer; see {0}")]
    Silent(PathBuf),
}

/// A running private Redis.
pub struct RedisProcess {
    place: Place,
    shared: Arc<Shared>,
    given_up: watch::Receiver<bool>,
}

impl RedisProcess {
    /// Starts a Redis on the data in `dir`, which is made if it does not exist, and waits until it
    /// has read them.
    pub async fn start(dir: &Path, fsync: Fsync) -> Result<Self, StartError> {
        let unusable = |e| StartError::Folder(dir.to_owned(), e);
        let server = find_server().ok_or(StartError::NoServer)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(unusable)?;
        let dir = dir.canonicalize().map_err(unusable)?;
        let place = Place {
            socket: socket_path(&dir).map_err(unusable)?,
            log: dir.join("redis.log"),
            dir,
        };
        let lock = lock(&place).await?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
        });
        let (give_up, given_up) = watch::channel(false);
        let keeper = Keeper {
            server,
            place: place.clone(),
            fsync,
            lock,
            shared: shared.clone(),
            give_up,
        };
        thread::Builder::new()
            .name("redis".into())
            .spawn(move || keeper.keep())
            .map_err(unusable)?;
        let process = Self {
            place,
            shared,
            given_up,
        };
        process.ready().await?;
        Ok(process)
    }

    /// Where to reach it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.place.socket.display())
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.shared
            .state()
            .pid
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    /// Waits until it has died so often that it is not started again; answers where its log is.
    pub async fn died(&mut self) -> String {
        // An error means that the keeper is gone, which is the same.
        let _ = self.given_up.wait_for(|given_up| *given_up).await;
        self.place.log.display().to_string()
    }

    /// Stops it: asks, then insists, then kills.
    pub async fn stop(self) {
        self.shared.state().stopping = true;
        let socket = self.place.socket.clone();
        // Redis closes the connection instead of answering.
        let asked = tokio::task::spawn_blocking(move || ask(&socket, &redis::cmd("SHUTDOWN")));
        let _ = asked.await;
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

    /// Waits for a PONG; while Redis reads its data it says LOADING.
    async fn ready(&self) -> Result<(), StartError> {
        let deadline = Instant::now() + LOAD_TIMEOUT;
        let mut loading = false;
        loop {
            let socket = self.place.socket.clone();
            let ping = tokio::task::spawn_blocking(move || ask(&socket, &redis::cmd("PING"))).await;
            match ping {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(e))
                    if e.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading)
                        && !std::mem::replace(&mut loading, true) =>
                {
                    tracing::info!("the private Redis reads its data");
                }
                _ => {}
            }
            if *self.given_up.borrow() || Instant::now() > deadline {
                self.shared.state().stopping = true;
                self.shared.signal(Signal::KILL);
                return Err(StartError::Silent(self.place.log.clone()));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One that is dropped, because the rest of the service could not be built, does not run on.
impl Drop for RedisProcess {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.signal(Signal::TERM);
    }
}

/// Sends one command over a connection of its own.
fn ask(socket: &Path, command: &redis::Cmd) -> redis::RedisResult<()> {
    let client = Client::open(format!("unix://{}", socket.display()))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(STOP_TIMEOUT))?;
    command.exec(&mut connection)
}
