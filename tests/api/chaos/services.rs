//! Processes of the service that are killed under load.

use std::fmt;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::cmd;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::crowd::seed;
use super::unfinished::{OLDEST_IN_PROGRESS, Unfinished};
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;

/// For how long a node makes no changes before a process dies. Updates of inboxes there wait, so that many changes
/// are between their steps; they would fail after 300 ms.
const PAUSE_MS: u32 = 200;
/// When the process dies after the begin of the pause.
const DEATH: Duration = Duration::from_millis(180);
/// The time between the start of a process and the next death.
const INTERVAL: Duration = Duration::from_millis(400);
/// How long a process may take to start while nodes fail.
const START: Duration = Duration::from_secs(30);

/// Processes that keep their addresses when they are started again.
pub struct Services {
    processes: Vec<ServiceProcess>,
    args: Vec<String>,
    settings: Vec<(&'static str, String)>,
    dir: TempDir,
}

impl Services {
    /// Starts processes for a Redis. Each change must reach so many replicas.
    pub fn start(count: usize, url: &str, replicas: usize) -> Self {
        Self::start_with(count, url, replicas, Vec::new())
    }

    /// The same with arguments.
    pub fn start_with(count: usize, url: &str, replicas: usize, args: Vec<String>) -> Self {
        let mut this = Self {
            processes: Vec::new(),
            args,
            settings: vec![
                ("DUOLOGUE_REDIS_URL", url.to_owned()),
                ("DUOLOGUE_REPLICAS", replicas.to_string()),
            ],
            dir: TempDir::new().unwrap(),
        };
        let address = format!("{}:0", own_host());
        this.processes = (0..count).map(|_| this.launch(&address)).collect();
        this
    }

    pub fn addresses(&self) -> Vec<String> {
        let processes = self.processes.iter();
        processes.map(|process| process.address.clone()).collect()
    }

    /// Starts a process, again and again until the store can be reached.
    fn launch(&self, address: &str) -> ServiceProcess {
        let settings = self.settings.iter();
        let settings: Vec<_> = settings.map(|(name, value)| (*name, &**value)).collect();
        let deadline = Instant::now() + START;
        loop {
            match ServiceProcess::try_start_at(address, self.dir.path(), &self.args, &settings) {
                Ok(started) => return started,
                Err(printed) => assert!(Instant::now() < deadline, "no start: {printed}"),
            }
        }
    }

    /// Kills processes and starts them again until the time is over.
    pub async fn kill_until(mut self, deadline: Instant, nodes: Vec<String>) -> (Self, Killed) {
        let killing = spawn_blocking(move || {
            let killed = self.kill_repeatedly(deadline, &nodes);
            (self, killed)
        });
        killing.await.unwrap()
    }

    fn kill_repeatedly(&mut self, deadline: Instant, nodes: &[String]) -> Killed {
        let (mut killed, mut rng) = (Killed::default(), Rng::new(seed()));
        while Instant::now() < deadline {
            pause_writes(rng.one_of::<String>(nodes));
            sleep(DEATH);
            let dying = rng.below(self.processes.len());
            self.kill(dying);
            killed.times += 1;
            sleep(OLDEST_IN_PROGRESS);
            let mut redis = DirectConnection::to_reachable(nodes.iter().map(String::as_str));
            // While a node fails, some of them are not seen.
            let _ = killed.unfinished.search(&mut redis);
            self.restart(dying);
            sleep(INTERVAL);
        }
        killed
    }

    pub fn kill(&mut self, number: usize) {
        self.processes[number].signal(Signal::KILL);
        self.processes[number].wait_for_exit(Duration::from_secs(10));
    }

    pub fn restart(&mut self, number: usize) {
        let address = self.processes[number].address.clone();
        let address = address.trim_start_matches("http://");
        self.processes[number] = self.launch(address);
    }
}

/// A loopback address of this run. On a shared one, the service of another test could get the port of a process that is
/// dead, and acknowledge messages of its clients.
fn own_host() -> Ipv4Addr {
    if cfg!(target_os = "linux") {
        let [.., second, third, fourth] = Uuid::now_v7().into_bytes();
        Ipv4Addr::new(127, second | 1, third, fourth.clamp(1, 254))
    } else {
        Ipv4Addr::LOCALHOST
    }
}

/// What the deaths of processes did.
#[derive(Default)]
pub struct Killed {
    pub times: usize,
    pub unfinished: Unfinished,
}

impl Killed {
    /// Whether processes died between the steps of a change, and between the two updates.
    pub fn left_both_kinds(&self) -> bool {
        self.unfinished.after_first_step() > 0 && self.unfinished.after_one_update() > 0
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "processes killed {}, {}", self.times, self.unfinished)
    }
}

/// Lets a node make no changes for a moment, if it answers.
fn pause_writes(node: &str) {
    let mut pause = cmd("CLIENT");
    pause.arg("PAUSE").arg(PAUSE_MS).arg("WRITE");
    let _ = pause.exec(&mut DirectConnection::to_reachable([node]));
}
