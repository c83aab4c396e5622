//! Starts, watches and stops workers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How long each worker may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause before a worker that failed is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// A background loop.
pub trait Worker: Send + 'static {
    /// Its name in logs and metrics.
    const NAME: &'static str;

    /// Works until `stop` is cancelled, then finishes the step in progress and returns. Called
    /// again on the same value if it panics or returns earlier.
    fn run(&mut self, stop: &CancellationToken) -> impl Future<Output = ()> + Send;
}

/// The running workers, in the order in which they stop.
pub struct Workers {
    metrics: Arc<Metrics>,
    running: Vec<RunningWorker>,
}

struct RunningWorker {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Workers {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            running: Vec::new(),
        }
    }

    /// Starts a worker on a task of its own. It stops after those that were started before it.
    pub fn start<W: Worker>(&mut self, worker: W) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervise(worker, stop.clone(), self.metrics.clone()));
        self.running.push(RunningWorker {
            name: W::NAME,
            stop,
            task,
        });
    }

    /// Stops the workers one after another; each finishes its step in progress. Aborts those that
    /// are not done in time and returns their names.
    pub async fn stop(self) -> Vec<&'static str> {
        let mut aborted = Vec::new();
        for RunningWorker {
            name,
            stop,
            mut task,
        } in self.running
        {
            stop.cancel();
            if timeout(STOP_TIMEOUT, &mut task).await.is_err() {
                task.abort();
                tracing::warn!(worker = name, "the worker did not stop in time");
                aborted.push(name);
            }
        }
        aborted
    }
}

/// Runs a worker until it is stopped. A failure of one worker affects neither requests nor other
/// workers, so it is reported and the worker starts again.
async fn supervise<W: Worker>(mut worker: W, stop: CancellationToken, metrics: Arc<Metrics>) {
    let failures = metrics.worker_failures(W::NAME);
    loop {
        let run = AssertUnwindSafe(worker.run(&stop)).catch_unwind().await;
        if stop.is_cancelled() && run.is_ok() {
            return;
        }
        failures.inc();
        let what = if run.is_ok() { "ended" } else { "panicked" };
        tracing::error!(
            worker = W::NAME,
            "the worker {what}; it restarts in a second"
        );
        if stop
            .run_until_cancelled(sleep(RESTART_DELAY))
            .await
            .is_none()
        {
            return;
        }
    }
}
