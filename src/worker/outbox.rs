//! Completes the updates of inboxes: files the events of rooms that any process left, and on a cluster confirms the
//! updates that this process made and repeats those that are missing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Worker, every};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::store::{PARTITIONS, Store};

/// Interval between two steps. Each confirms what was updated, and searches a part of the outboxes.
const PERIOD: Duration = Duration::from_secs(1);
/// Number of outboxes that one step searches: all of them in four steps.
const SEARCHED: usize = 64;
/// Number of outboxes that are searched, and of entries that are completed, concurrently.
const CONCURRENCY: usize = 16;

/// Works on the outboxes of all partitions. Several processes may do so at once.
pub(super) struct OutboxWorker {
    store: Store,
    metrics: Arc<Metrics>,
    /// The number of entries of each outbox when it was last searched.
    counts: Vec<i64>,
    next: usize,
}

impl OutboxWorker {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            counts: vec![0; PARTITIONS.into()],
            next: 0,
        }
    }

    /// Searches some outboxes, and completes what is found.
    async fn search(&mut self) {
        let first = self.next;
        self.next = (first + SEARCHED) % self.counts.len();
        let store = &self.store;
        // On one Redis one call searches them all; on a cluster they are on different nodes.
        let at_once = if store.is_in_two_steps() { 1 } else { SEARCHED };
        let parts = (first..first + SEARCHED).step_by(at_once);
        let searches = parts.map(async |first| {
            let found = complete_unconfirmed(store, first..first + at_once).await;
            (first, found)
        });
        let mut searches = stream::iter(searches).buffer_unordered(CONCURRENCY);
        while let Some((first, found)) = searches.next().await {
            match found {
                Ok(counts) => self.counts[first..first + counts.len()].copy_from_slice(&counts),
                Err(error) => tracing::debug!(%error, first, "an outbox could not be read"),
            }
        }
        self.metrics.outbox_entries.set(self.counts.iter().sum());
    }
}

impl Worker for OutboxWorker {
    const NAME: &'static str = "outbox";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut ticks = every(PERIOD);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            confirm(&self.store).await;
            self.search().await;
            self.store.repair_diverged().await;
        }
        confirm(&self.store).await;
    }
}

async fn confirm(store: &Store) {
    if let Err(error) = store.confirm_updates().await {
        tracing::debug!(%error, "updates of inboxes could not be confirmed and will be repeated");
    }
}

/// Completes the entries of some partitions that have been unconfirmed for some seconds. Returns the number of entries
/// of each outbox before.
async fn complete_unconfirmed(store: &Store, partitions: Range<usize>) -> Result<Vec<i64>, Error> {
    let (unconfirmed, counts) = store.find_unconfirmed(partitions).await?;
    let completions = unconfirmed.into_iter().map(|entry| store.complete(entry));
    let mut completions = stream::iter(completions).buffer_unordered(CONCURRENCY);
    while let Some(completed) = completions.next().await {
        if let Err(error) = completed {
            tracing::debug!(%error, "an update of inboxes failed and will be repeated");
        }
    }
    Ok(counts)
}
