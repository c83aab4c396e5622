//! The thread that starts the child, waits for it, and starts it again.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use super::folder::Place;
use crate::config::Fsync;

/// Names of the server, in the order they are tried.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// A Redis that lived shorter than this died of something a restart does not mend.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// So many short lives in a row, and the service gives up.
const MAX_SHORT_LIVES: u32 = 5;

/// What the thread that watches the child and the service both touch.
pub(super) struct Shared {
    pub state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// The child, as long as it is certain that the number is still its.
    pub pid: Option<Pid>,
    pub stopping: bool,
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        // The state is two plain values: whoever panicked left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals the child, if there is one. Under the lock, so that the number cannot have been
    /// given to somebody else in between.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.state().pid {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The thread that starts the child and waits for it. One thread from beginning to end, because
/// the kernel ties "kill my child when I die" (`PR_SET_PDEATHSIG`) to the thread that forked.
pub(super) struct Keeper {
    pub server: PathBuf,
    pub place: Place,
    pub fsync: Fsync,
    pub lock: File,
    pub shared: Arc<Shared>,
    pub give_up: watch::Sender<bool>,
}

impl Keeper {
    pub fn keep(self) {
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
pub(super) fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    let places = SERVERS
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    places.into_iter().find(|file| file.is_file())
}
