//! The thread that starts the Redis server, waits for it to exit, and starts it again.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use super::data_dir::Paths;
use crate::config::Fsync;

/// Server binaries, in order of preference.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// A server that exits earlier has failed to start, and a restart may not help.
const MIN_UPTIME: Duration = Duration::from_secs(5);

/// Failed starts in a row after which the service gives up.
const MAX_FAILED_STARTS: u32 = 5;

/// State shared by the supervising thread and the service.
pub(super) struct Shared {
    pub state: Mutex<ProcessState>,
}

#[derive(Default)]
pub(super) struct ProcessState {
    /// The server's process id, until its exit status is collected and the id may be reused.
    pub pid: Option<Pid>,
    pub stopping: bool,
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, ProcessState> {
        // Two plain values: a panic cannot leave them inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals the server if it runs. Under the lock, so that the id cannot be reused in between.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.state().pid {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Starts the server and waits for it. One thread does so for the whole life of the service,
/// because `PR_SET_PDEATHSIG` kills the child when the thread that forked it ends.
pub(super) struct Supervisor {
    pub server: PathBuf,
    pub paths: Paths,
    pub fsync: Fsync,
    pub maxmemory: ByteSize,
    pub lock: File,
    pub shared: Arc<Shared>,
    pub has_failed: watch::Sender<bool>,
}

impl Supervisor {
    /// Runs until the service stops or the server has failed too often.
    pub fn run(self) {
        let mut failed_starts = 0;
        while failed_starts < MAX_FAILED_STARTS {
            let started = Instant::now();
            let end = self.run_once();
            if self.shared.state().stopping {
                return;
            }
            failed_starts = if started.elapsed() < MIN_UPTIME {
                failed_starts + 1
            } else {
                0
            };
            tracing::error!("the private Redis exited ({end}); restarting it on its data");
            thread::sleep(Duration::from_millis(100) * failed_starts);
        }
        self.has_failed.send_replace(true);
    }

    /// Runs the server once and returns how it ended.
    fn run_once(&self) -> String {
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
                Err(e) => return format!("it could not be started: {e}"),
            }
        };
        self.wait(&mut child)
    }

    /// Waits for the exit without collecting it, then collects it under the lock: until then the
    /// process id is not reused.
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
        let Paths { dir, socket, log } = &self.paths;
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
            .args(["--maxmemory", &self.maxmemory.as_u64().to_string()])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(dir)
            .arg("--unixsocket")
            .arg(socket)
            .arg("--logfile")
            .arg(log)
            // The child inherits the lock on the directory this way; Redis does not read its stdin.
            .stdin(Stdio::from(self.lock.try_clone()?))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal signals only the service, which stops Redis last.
            .process_group(0);
        bind_to_parent(&mut command);
        Ok(command)
    }
}

/// Makes the child's files private (umask) and, on Linux, has the kernel stop the child when this
/// thread ends. Elsewhere the next start of the service stops the orphan.
#[allow(unsafe_code)]
fn bind_to_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        #[cfg(target_os = "linux")]
        {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            // The parent may have exited before the call above.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::other("the service has exited"));
            }
        }
        let _ = parent;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. These are plain
    // system calls; only a failure allocates.
    unsafe { command.pre_exec(prepare) };
}

/// The first server binary in the `PATH`.
pub(super) fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    let candidates = SERVERS
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    candidates.into_iter().find(|file| file.is_file())
}
