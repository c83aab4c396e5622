//! Measures the service and lower bounds of its cost in one run, and prints tables.
//!
//! The speed of a machine varies by the minute, so compare figures only within a run: rows are measured in
//! short alternating rounds, and the median is reported. Compare CPU per request; requests per second depend
//! on the other load of the machine.
//!
//! `cargo bench --bench throughput`. `-- live` measures only the live rows, `-- cluster` only those of a
//! cluster, `-- rooms` only those of rooms, `-- subscriptions` only those of subscriptions, `-- growth` only those
//! of growing data, `-- archive` only those of the archive, `-- scripts` only the time of Redis for scripts; `-- --check`
//! fails if a target is missed.
//! `make bench-peers` runs `-- peers`, which is not part of the others. Needs Linux (`/proc`), `wrk`,
//! `redis-server` and `redis-benchmark`.

mod archive;
mod baseline;
mod bench;
mod chart;
mod cluster;
mod deployment;
mod growth;
mod imports;
mod live;
mod load;
mod messages;
mod peers;
mod plan;
mod process;
mod prose;
mod redis_server;
mod report;
mod requests;
mod rooms;
mod sockets;
mod store;
mod subscriptions;
mod watchers;
mod webhooks;
mod wrk;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

/// The allocator of the service, for a fair row (a), which this binary serves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of a step. Errors are only printed, so they need no type of their own.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The argument that makes this binary serve row (a), or, before the socket of a Redis, row (p).
const SERVE_BASELINE: &str = "serve-baseline";
/// The argument that selects the live rows.
const LIVE: &str = "live";
/// The argument that selects the rows of a cluster.
const CLUSTER: &str = "cluster";
/// The argument that selects the rows of rooms.
const ROOMS: &str = "rooms";
/// The argument that selects the rows of subscriptions.
const SUBSCRIPTIONS: &str = "subscriptions";
/// The argument that selects the time of Redis for scripts.
const SCRIPTS: &str = "scripts";
/// The argument that selects the rows of growing data.
const GROWTH: &str = "growth";
/// The argument that selects the rows of the archive.
const ARCHIVE: &str = "archive";
/// The argument that selects the comparison with other services.
const PEERS: &str = "peers";
/// Maximum duration of a run.
const TIME_LIMIT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has(SERVE_BASELINE) {
        let socket = args.get(1).map(Path::new);
        return exit_code(baseline::serve(workers(), socket).map(|()| true));
    }
    if !has("--bench") {
        println!("To measure, for about ten minutes, run: cargo bench --bench throughput");
        return ExitCode::SUCCESS;
    }
    let parts = [
        LIVE,
        CLUSTER,
        ROOMS,
        SUBSCRIPTIONS,
        SCRIPTS,
        GROWTH,
        ARCHIVE,
        PEERS,
    ];
    let only = parts.into_iter().find(|part| has(part));
    let run = Interrupt::new().and_then(|interrupt| plan::run(&interrupt, workers(), only));
    exit_code(run.map(|missed| !has("--check") || missed.is_empty()))
}

fn exit_code(outcome: Outcome<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("throughput: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Worker threads, the same number for the baseline and the service.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Reasons to stop early: a signal or the time limit. Checked between rounds, so that destructors
/// stop child processes and remove folders.
struct Interrupt {
    signalled: Arc<AtomicBool>,
    deadline: Instant,
}

impl Interrupt {
    fn new() -> Outcome<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        let flag = signalled.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let guard = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        drop(guard);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
            });
            flag.store(true, Ordering::Release);
        });
        Ok(Self {
            signalled,
            deadline: Instant::now() + TIME_LIMIT,
        })
    }

    fn check(&self) -> Outcome<()> {
        if self.signalled.load(Ordering::Acquire) {
            return Err("interrupted".into());
        }
        if Instant::now() > self.deadline {
            return Err(format!("not finished within {TIME_LIMIT:?}").into());
        }
        Ok(())
    }
}
