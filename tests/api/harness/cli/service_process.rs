//! The service as a separate process, for signals, exit codes and output.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::store::redis_server::signal_pid;

/// A running `duologue`. Killed when dropped.
pub struct ServiceProcess {
    pub address: String,
    child: Child,
    /// Kept open so that later output does not fail.
    _stdout: BufReader<ChildStdout>,
}

/// The command with a free port and none of the caller's `DUOLOGUE_` variables.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duologue"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DUOLOGUE_")) {
        command.env_remove(name);
    }
    command
        .env("DUOLOGUE_BIND", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The output and exit status of a command that is expected to end.
pub fn output(command: &mut Command) -> Output {
    let mut child = command.spawn().unwrap();
    wait(&mut child, Duration::from_secs(30));
    child.wait_with_output().unwrap()
}

impl ServiceProcess {
    /// Starts the service with a data folder and waits for its banner.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// The same with more settings.
    pub fn start_with(dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::launch(dir, settings, Stdio::null())
    }

    /// Starts the service by a command, with settings beside its own.
    pub fn start_by(command: Command, dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::launch_command(command, dir, settings, Stdio::null())
    }

    /// The same, with its log in a file.
    pub fn start_logged(dir: &Path, settings: &[(&str, &str)], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::launch(dir, settings, log.into())
    }

    /// Starts the service from a shell, after a command that changes limits or signals.
    pub fn start_under_shell(dir: &Path, prepare: &str) -> Self {
        let mut limited = Command::new("sh");
        let service = env!("CARGO_BIN_EXE_duologue");
        limited.args(["-c", &format!("{prepare}; exec {service}")]);
        Self::launch_command(
            limited,
            dir,
            &[("DUOLOGUE_BIND", "127.0.0.1:0")],
            Stdio::null(),
        )
    }

    /// Starts the service on an address, such as `127.0.0.1:8080`, with arguments and settings. Returns what it printed if it does not start.
    pub fn try_start_at(
        address: &str,
        dir: &Path,
        args: &[String],
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let settings = [settings, &[("DUOLOGUE_BIND", address)]].concat();
        let mut command = command();
        command.args(args);
        Self::try_launch(command, dir, &settings, Stdio::null())
    }

    fn launch(dir: &Path, settings: &[(&str, &str)], stderr: Stdio) -> Self {
        Self::launch_command(command(), dir, settings, stderr)
    }

    fn launch_command(
        command: Command,
        dir: &Path,
        settings: &[(&str, &str)],
        stderr: Stdio,
    ) -> Self {
        let launched = Self::try_launch(command, dir, settings, stderr);
        launched.unwrap_or_else(|banner| panic!("no address: {banner}"))
    }

    fn try_launch(
        mut command: Command,
        dir: &Path,
        settings: &[(&str, &str)],
        stderr: Stdio,
    ) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.env("DUOLOGUE_DATA_DIR", dir).stderr(stderr);
        command.envs(settings.iter().copied());
        // A process group of its own, as a shell creates for a command.
        let mut child = command.process_group(0).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        stdout.read_line(&mut banner).unwrap();
        let Some(address) = banner.split_whitespace().find(|w| w.starts_with("http://")) else {
            wait(&mut child, Duration::from_secs(30));
            return Err(banner);
        };
        Ok(Self {
            address: address.to_owned(),
            child,
            _stdout: stdout,
        })
    }

    pub fn signal(&self, signal: Signal) {
        signal_pid(self.child.id(), signal);
    }

    /// Does what a terminal does on Ctrl-C: signals the whole process group.
    pub fn interrupt_group(&self) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process_group(group, Signal::INT).unwrap();
    }

    pub fn wait_for_exit(&mut self, within: Duration) -> ExitStatus {
        wait(&mut self.child, within)
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process to exit; kills it after the timeout.
pub fn wait(child: &mut Child, within: Duration) -> ExitStatus {
    let deadline = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it did not end within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
