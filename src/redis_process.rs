//! The private Redis: a child of this process, on a unix socket in the data directory.
//!
//! Started by a thread that lives as long as it does, restarted by it on the same data when it
//! dies, stopped with the service, and never left behind: a service killed with SIGKILL takes its
//! Redis along. One directory has one Redis: a lock on it is inherited by the child, so it lasts
//! until the last of both is gone.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, ErrorKind, ServerErrorKind};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Fsync;

/// Names of the server, in the order they are tried.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];
/// The longest path a unix socket may have (`sun_path` holds 108 bytes, 104 on macOS, one is NUL).
const MAX_SOCKET_PATH: usize = 103;
/// How long a predecessor may take to let go of the directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How long Redis may take to read its data: some 50 million messages.
const LOAD_PATIENCE: Duration = Duration::from_secs(300);
/// How long Redis may take to stop, at each of three degrees of insistence.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// A Redis that lived shorter than this died of something a restart does not mend.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// So many short lives in a row, and the service gives up.
const MAX_SHORT_LIVES: u32 = 5;

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

/// Where everything of it is.
#[derive(Clone)]
struct Place {
    dir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

/// What the thread that watches the child and the service both touch.
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The child, as long as it is certain that the number is still its.
    pid: Option<Pid>,
    stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is two plain values: whoever panicked left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals the child, if there is one. Under the lock, so that the number cannot have been
    /// given to somebody else in between.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.state().pid {
            let _ = kill_process(pid, signal);
        }
    }
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
            let deadline = Instant::now() + STOP_PATIENCE;
            while self.shared.state().pid.is_some() && Instant::now() < deadline {
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Waits for a PONG; while Redis reads its data it says LOADING.
    async fn ready(&self) -> Result<(), StartError> {
        let deadline = Instant::now() + LOAD_PATIENCE;
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

/// Sends one command over a connection of its own.
fn ask(socket: &Path, command: &redis::Cmd) -> redis::RedisResult<()> {
    let client = Client::open(format!("unix://{}", socket.display()))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(STOP_PATIENCE))?;
    command.exec(&mut connection)
}

/// The thread that starts the child and waits for it. One thread from beginning to end, because
/// the kernel ties "kill my child when I die" (`PR_SET_PDEATHSIG`) to the thread that forked.
struct Keeper {
    server: PathBuf,
    place: Place,
    fsync: Fsync,
    lock: File,
    shared: Arc<Shared>,
    give_up: watch::Sender<bool>,
}

impl Keeper {
    fn keep(self) {
        let mut short_lives = 0;
        while short_lives < MAX_SHORT_LIVES {
            let born = Instant::now();
            let end = self.live();
            if self.shared.state().stopping {
                return;
            }
            short_lives = if born.elapsed() < SHORT_LIFE {
                short_lives + 1
            } else {
                0
            };
            tracing::error!("the private Redis ended ({end}); starting it again on its data");
            thread::sleep(Duration::from_millis(100) * short_lives);
        }
        self.give_up.send_replace(true);
    }

    /// One life of the child; answers how it ended.
    fn live(&self) -> String {
        let mut child = {
            let mut state = self.shared.state();
            if state.stopping {
                return "not started".into();
            }
            match self.command().and_then(|mut command| command.spawn()) {
                Ok(child) => {
                    state.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                    child
                }
                Err(e) => return format!("it would not start: {e}"),
            }
        };
        self.wait(&mut child)
    }

    /// Waits for the end first and collects the child after, under the lock: in between its number
    /// is still its own.
    fn wait(&self, child: &mut Child) -> String {
        let pid = self.shared.state().pid;
        if let Some(pid) = pid {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(
                waitid(WaitId::Pid(pid), options),
                Err(rustix::io::Errno::INTR)
            ) {}
        }
        let mut state = self.shared.state();
        let end = child.wait();
        state.pid = None;
        end.map_or_else(|e| e.to_string(), |status| status.to_string())
    }

    fn command(&self) -> io::Result<Command> {
        let Place { dir, socket, log } = &self.place;
        let mut command = Command::new(&self.server);
        command
            .args([
                "--port",
                "0",
                "--unixsocketperm",
                "700",
                "--daemonize",
                "no",
                "--save",
                "",
            ])
            .args(["--appendonly", "yes", "--appendfsync", self.fsync.as_str()])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(dir)
            .arg("--unixsocket")
            .arg(socket)
            .arg("--logfile")
            .arg(log)
            // The lock on the folder, which the child so holds too. Redis does not read it.
            .stdin(Stdio::from(self.lock.try_clone()?))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to the service alone, which stops Redis last.
            .process_group(0);
        bind_to_parent(&mut command);
        Ok(command)
    }
}

/// Makes the child private (umask) and, on Linux, mortal with the thread that starts it. Elsewhere
/// an orphan is found by the next start (see [`retire_orphan`]).
#[allow(unsafe_code)]
fn bind_to_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        #[cfg(target_os = "linux")]
        {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            // The parent may have died before the line above.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::other("the service is gone"));
            }
        }
        let _ = parent;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; these are bare
    // system calls, and nothing is allocated unless one fails.
    unsafe { command.pre_exec(prepare) };
}

/// The first server of the `PATH`.
fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    let places = SERVERS
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    places.into_iter().find(|file| file.is_file())
}

/// The socket stands beside the data, unless its path would be too long for a socket.
fn socket_path(dir: &Path) -> io::Result<PathBuf> {
    let beside = dir.join("redis.sock");
    if beside.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(beside);
    }
    // Named after the folder, so that two of them do not meet; private like it.
    let hash = crc::Crc::<u64>::new(&crc::CRC_64_XZ).checksum(dir.as_os_str().as_encoded_bytes());
    let private = std::env::temp_dir().join(format!("duologue-{hash:016x}"));
    match DirBuilder::new().mode(0o700).create(&private) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(private.join("redis.sock")),
    }
}

/// Takes the folder. Two servers on one folder corrupt it.
async fn lock(place: &Place) -> Result<File, StartError> {
    let unusable = |e| StartError::Folder(place.dir.clone(), e);
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = file.open(place.dir.join("lock")).map_err(unusable)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(StartError::Locked(place.dir.clone()));
            }
            Err(TryLockError::WouldBlock) => {
                let socket = place.socket.clone();
                let _ = tokio::task::spawn_blocking(move || retire_orphan(&socket)).await;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Stops a Redis whose service is gone: nobody is connected to it but us. One that still has its
/// service would be started again by it, under the same lock, and lose nothing.
fn retire_orphan(socket: &Path) -> redis::RedisResult<()> {
    let client = Client::open(format!("unix://{}", socket.display()))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    let clients = redis::cmd("CLIENT")
        .arg("LIST")
        .query::<String>(&mut connection)?;
    if clients.lines().count() == 1 {
        redis::cmd("SHUTDOWN").exec(&mut connection)?;
    }
    Ok(())
}
