//! Background workers: started, watched and stopped in order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duologue::metrics::Metrics;
use duologue::worker::{Worker, Workers};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

type Log = Arc<Mutex<Vec<&'static str>>>;

/// Reports when its step begins, and adds its name to a log when the step ends.
struct Step<const ID: usize> {
    begun: mpsc::UnboundedSender<()>,
    duration: Duration,
    log: Log,
}

const NAMES: [&str; 3] = ["first", "second", "third"];

impl<const ID: usize> Worker for Step<ID> {
    const NAME: &'static str = NAMES[ID];

    async fn run(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.begun.send(()).unwrap();
            stop.cancelled().await;
            sleep(self.duration).await;
            self.log.lock().unwrap().push(Self::NAME);
        }
    }
}

/// Starts three workers, each with a step of its duration, and stops them during these steps.
/// Returns the workers whose step ended, in order, and those that were aborted.
async fn stop_during_steps(milliseconds: [u64; 3]) -> (Vec<&'static str>, Vec<&'static str>) {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let log = Log::default();
    let [first, second, third] = milliseconds.map(Duration::from_millis);
    let mut workers = Workers::new(Arc::new(Metrics::new()));
    workers.start(Step::<0> {
        begun: begun.clone(),
        duration: first,
        log: log.clone(),
    });
    workers.start(Step::<1> {
        begun: begun.clone(),
        duration: second,
        log: log.clone(),
    });
    workers.start(Step::<2> {
        begun,
        duration: third,
        log: log.clone(),
    });
    for _ in 0..3 {
        begins.recv().await.unwrap();
    }
    let aborted = workers.stop().await;
    let finished = log.lock().unwrap().clone();
    (finished, aborted)
}

#[tokio::test]
async fn workers_finish_their_steps_and_stop_in_order() {
    let (finished, aborted) = stop_during_steps([60, 30, 0]).await;
    assert_eq!(finished, NAMES);
    assert_eq!(aborted, [] as [&str; 0]);
}

#[tokio::test]
async fn a_worker_that_does_not_stop_is_aborted_and_named() {
    let stopping = stop_during_steps([0, 3_600_000, 0]);
    let (finished, aborted) = timeout(Duration::from_secs(20), stopping).await.unwrap();
    assert_eq!(finished, ["first", "third"]);
    assert_eq!(aborted, ["second"]);
}

/// Panics in its first run, returns early from the second, and works in the third.
struct Failing {
    runs: usize,
    works: mpsc::UnboundedSender<usize>,
}

impl Worker for Failing {
    const NAME: &'static str = "failing";

    async fn run(&mut self, stop: &CancellationToken) {
        self.runs += 1;
        match self.runs {
            1 => panic!("the first run of this worker panics"),
            2 => (),
            runs => {
                self.works.send(runs).unwrap();
                stop.cancelled().await;
            }
        }
    }
}

#[tokio::test]
async fn a_worker_that_fails_is_counted_and_starts_again() {
    let (works, mut working) = mpsc::unbounded_channel();
    let metrics = Arc::new(Metrics::new());
    let mut workers = Workers::new(metrics.clone());
    workers.start(Failing { runs: 0, works });
    assert_eq!(working.recv().await, Some(3), "it keeps its state");
    assert_eq!(metrics.worker_failures("failing").get(), 2);
    let series = "duologue_worker_failures_total{worker=\"failing\"} 2";
    assert!(metrics.render().contains(series), "{}", metrics.render());
    assert_eq!(workers.stop().await, [] as [&str; 0]);
}
