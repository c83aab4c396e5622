//! The processes to measure: starts and stops them and reads the CPU and memory they use.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::store::Redis;
use crate::{Outcome, SERVE_BASELINE};

/// How long a child may take to print its address, or to stop.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Ticks per second in `/proc`: always 100, independent of the kernel's own clock.
const TICKS: f64 = 100.0;

/// A child that is stopped when it goes out of scope.
pub struct Server {
    child: Child,
    /// The base URL.
    pub url: String,
}

impl Server {
    /// Starts this binary again as row (a), or, given the socket of a Redis, as row (p).
    pub fn baseline(socket: Option<&Path>) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(command.arg(SERVE_BASELINE).args(socket))
    }

    /// Starts the service with an embedded Redis in `dir` and these environment variables; those of
    /// this process are not inherited. All messages stay in Redis unless a variable says otherwise, so that a row does not
    /// include work of the archive.
    pub fn duologue(
        dir: &Path,
        fsync: &str,
        workers: usize,
        settings: &[(&str, &str)],
    ) -> Outcome<(Self, Redis)> {
        let all_in_redis = [("DUOLOGUE_HOT_MESSAGES", "0")];
        let mut command = service(workers, &[&all_in_redis, settings].concat());
        command.args(["--fsync", fsync]);
        command.arg("--data-dir").arg(dir);
        let server = Self::start(&mut command)?;
        let redis = Redis::connect(&dir.join("redis.sock"))?;
        Ok((server, redis))
    }

    /// The same on the Redis of a URL.
    pub fn duologue_on(url: &str, workers: usize, settings: &[(&str, &str)]) -> Outcome<Self> {
        Self::start(service(workers, settings).args(["--redis-url", url]))
    }

    /// Starts a child and reads its address from the first line that it prints.
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

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The CPU time used so far, in microseconds.
    pub fn cpu(&self) -> Outcome<f64> {
        cpu(self.child.id())
    }

    /// The resident memory, in bytes.
    pub fn memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|resident| resident.split_whitespace().next());
        Ok(kibibytes.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0)
    }
}

/// The first line of a child's output; empty if the child prints none in time.
fn first_line(output: ChildStdout) -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let mut output = BufReader::new(output);
        let _ = output.read_line(&mut line);
        let _ = sender.send(line);
        // Keeps reading: the child fails if it writes to a closed pipe.
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    receiver.recv_timeout(TIMEOUT).unwrap_or_default()
}

impl Drop for Server {
    fn drop(&mut self) {
        // The baseline stops when its input ends, the service on a signal.
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

/// The CPU time of all threads of a process, user and system, in microseconds.
pub fn cpu(pid: u32) -> Outcome<f64> {
    Ok(cpu_of(&fields(&pid.to_string())?))
}

/// The same of all processes of a process group.
pub fn cpu_of_group(group: u32) -> Outcome<f64> {
    let (group, mut sum) = (group.to_string(), 0.0);
    for entry in fs::read_dir("/proc")? {
        // Other entries are not processes, or processes that have ended meanwhile.
        if let Ok(fields) = fields(&entry?.file_name().to_string_lossy())
            && fields.get(2) == Some(&group)
        {
            sum += cpu_of(&fields);
        }
    }
    Ok(sum)
}

/// The fields of `/proc/PID/stat` that follow the program's name, which may contain spaces.
fn fields(pid: &str) -> Outcome<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// The user and system time among these fields, in microseconds.
fn cpu_of(fields: &[String]) -> f64 {
    let times = fields.iter().skip(11).take(2);
    let ticks: f64 = times.map(|ticks| ticks.parse().unwrap_or(0.0)).sum();
    ticks / TICKS * 1e6
}

/// A command that starts the service on a free port.
fn service(workers: usize, settings: &[(&str, &str)]) -> Command {
    let mut command = duologue();
    command
        .args(["--bind", "127.0.0.1:0", "--log", "error"])
        .args(["--workers", &workers.to_string()])
        .envs(settings.iter().copied());
    command
}

/// A command for the service's binary, without the `DUOLOGUE_` variables of this process.
pub fn duologue() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duologue"));
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("DUOLOGUE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a short program and returns its output.
pub fn run(command: &mut Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| format!("{name}: {e}; is it installed?"))?;
    // No program prints more than a pipe buffers, so waiting before reading cannot deadlock.
    if wait(&mut child).is_none() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("{name} did not finish within {TIMEOUT:?}").into());
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed: {text}{stderr}").into())
}
