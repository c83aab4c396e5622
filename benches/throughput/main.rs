//! How fast the service is, beside what nobody could be faster than: one table, one run.
//!
//! A machine's speed varies by the minute, so figures are only ever compared within a run: each
//! row is measured in several short rounds that take turns, and the median of its rounds counts.
//! What to read is the CPU per request; requests per second depend on what else the machine does.
//!
//! `cargo bench --bench throughput`; with `-- live` only the rows of Live, with `-- --check` it fails
//! when a target is missed. Needs Linux (`/proc`), `wrk`, `redis-server` and `redis-benchmark`.

mod baseline;
mod live;
mod load;
mod plan;
mod process;
mod report;
mod sockets;
mod store;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

/// The service's allocator, so that row (a), which is this binary too, is served no worse.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What any step of the benchmark may end with. It is for a person, so it is text.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The argument with which the binary runs itself as row (a), or, followed by the socket of a
/// Redis, as row (p).
const SERVE_BASELINE: &str = "serve-baseline";
/// The argument for the rows of Live alone.
const LIVE: &str = "live";
/// The whole run ends by then, come what may.
const TIME_LIMIT: Duration = Duration::from_secs(360);

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has(SERVE_BASELINE) {
        let socket = args.get(1).map(Path::new);
        return exit_code(baseline::serve(workers(), socket).map(|()| true));
    }
    if !has("--bench") {
        println!("This measures, and takes some four minutes: cargo bench --bench throughput");
        return ExitCode::SUCCESS;
    }
    let run = Interrupt::new().and_then(|interrupt| plan::run(&interrupt, workers(), has(LIVE)));
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

/// Why to stop early: a signal, or the time limit. Asked between rounds, so that children and
/// folders are cleaned up on the way out.
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
