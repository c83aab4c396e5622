//! Performs scheduled tasks: deletes messages that expire and ends mutes.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Worker, every};
use crate::error::Error;
use crate::store::{DueEntry, Store};

/// Interval between two reads of the schedule. Users are notified within 2 s.
const PERIOD: Duration = Duration::from_millis(500);
/// Number of entries that are performed concurrently.
const CONCURRENCY: usize = 32;

/// Reads the schedules of all partitions. Several processes may do so at once.
pub(super) struct ScheduleWorker {
    store: Store,
}

impl ScheduleWorker {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Worker for ScheduleWorker {
    const NAME: &'static str = "schedule";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut ticks = every(PERIOD);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = perform_due(&self.store, stop).await {
                tracing::debug!(%error, "the schedule could not be read");
            }
        }
    }
}

/// Performs all entries that are due, also after an outage of any length. Entries that fail stay in the schedule
/// and are retried some seconds later. Ends after the step in progress if it is stopped.
pub async fn perform_due(store: &Store, stop: &CancellationToken) -> Result<(), Error> {
    let mut more = true;
    while more && !stop.is_cancelled() {
        more = false;
        // In turn, so that a partition with many entries does not delay those of others.
        for group in Store::partition_groups() {
            let due = store.claim_entries(group).await?;
            more |= !due.is_empty();
            perform(store, due, stop).await;
        }
    }
    Ok(())
}

async fn perform(store: &Store, due: Vec<DueEntry>, stop: &CancellationToken) {
    // Boxed, because the types of all these futures together are too deep for the compiler.
    let steps = due.into_iter().map(|entry| store.perform(entry).boxed());
    let steps = stream::iter(steps).take_until(stop.cancelled());
    let outcomes: Vec<_> = steps.buffer_unordered(CONCURRENCY).collect().await;
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if let Some(error) = failed.first() {
        let failed = failed.len();
        tracing::warn!(failed, %error, "entries of the schedule failed and will be retried");
    }
}
