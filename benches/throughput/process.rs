//! The processes that are measured: started, asked for the CPU they used, stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::store::Redis;
use crate::{Outcome, SERVE_BASELINE};

/// How long a child may take to say where it listens, or to stop.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Ticks a second in `/proc`. The kernel's interface has a fixed 100, whatever its own clock.
const TICKS: f64 = 100.0;

/// A child that is stopped when it goes out of scope.
pub struct Server {
    child: Child,
    /// Where it serves HTTP.
    pub url: String,
}

impl Server {
    /// Row (a), or with the socket of a Redis row (p): this binary once more.
    pub fn baseline(socket: Option<&Path>) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(command.arg(SERVE_BASELINE).args(socket))
    }

    /// The service itself with a private Redis in `dir`, as a user would run it, with these
    /// settings and no others of the environment.
    pub fn duologue(
        dir: &Path,
        fsync: &str,
        workers: usize,
        settings: &[(&str, &str)],
    ) -> Outcome<(Self, Redis)> {
        let mut command = duologue();
        command
            .args(["--bind", "127.0.0.1:0", "--log", "error", "--fsync", fsync])
            .args(["--workers", &workers.to_string()])
            .envs(settings.iter().copied())
            .arg("--data-dir")
            .arg(dir);
        let server = Self::start(&mut command)?;
        let redis = Redis::connect(&dir.join("redis.sock"))?;
        Ok((server, redis))
    }

    /// Starts a child and reads from the first line it prints where it listens.
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let mut server = Self {
            child,
            url: String::new(),
        };
        let line = first_line(output.ok_or("no output")?);
        let address = line.split_whitespace().next_back().unwrap_or_default();
        if address.is_empty() {
            return Err(format!("{command:?} did not start").into());
        }
        server.url = format!("http://{}", address.trim_start_matches("http://"));
        Ok(server)
    }

    /// Where it serves, without the scheme.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The CPU it has used, in microseconds.
    pub fn cpu(&self) -> Outcome<f64> {
        cpu(self.child.id())
    }

    /// The memory it holds, in bytes: what of it is in RAM.
    pub fn memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|resident| resident.split_whitespace().next());
        Ok(kibibytes.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0)
    }
}

/// A child that ends without a word, or that says nothing in time, has an empty first line.
fn first_line(output: ChildStdout) -> String {
    let (say, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let mut output = BufReader::new(output);
        let _ = output.read_line(&mut line);
        let _ = say.send(line);
        // A closed pipe would be an error to the child that goes on talking.
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    said.recv_timeout(TIMEOUT).unwrap_or_default()
}

impl Drop for Server {
    fn drop(&mut self) {
        // The baseline ends with its input; the service on a signal, after its Redis.
        drop(self.child.stdin.take());
        let pid = i32::try_from(self.child.id()).ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if wait(&mut self.child).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        sleep(Duration::from_millis(10));
    }
    None
}

/// The CPU that all threads of a process have used in user and system mode, in microseconds.
pub fn cpu(pid: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program stands in parentheses and may hold anything; count from its end.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse().unwrap_or(0.0))
        .sum();
    Ok(ticks / TICKS * 1e6)
}

/// The service's program, without the settings of the environment.
pub fn duologue() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duologue"));
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("DUOLOGUE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a program to its end, which is near, and answers what it printed.
pub fn run(command: &mut Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| format!("{name}: {e}; is it installed?"))?;
    // Neither program prints more than a pipe holds.
    if wait(&mut child).is_none() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("{name} did not end").into());
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed: {text}{complaint}").into())
}
