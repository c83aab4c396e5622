//! Completes the updates of inboxes on a cluster: confirms those that this process made, and repeats those that any
//! process left.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::store::{PARTITIONS, Store};

/// Interval between two steps. Each confirms what was updated, and searches a part of the outboxes.
const PERIOD: Duration = Duration::from_secs(1);
/// Number of outboxes that one step searches: all of them in four steps.
const SEARCHED: usize = 64;
/// Number of outboxes that are searched, and of conversations that are updated, concurrently.
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

    /// Searches some outboxes, and repeats the updates that are found.
    async fn search(&mut self) {
        let partitions = self.next..self.next + SEARCHED;
        self.next = partitions.end % self.counts.len();
        let store = &self.store;
        let searches = partitions.map(async |partition| {
            let found = repeat_unconfirmed(store, partition).await;
            (partition, found)
        });
        let mut searches = stream::iter(searches).buffer_unordered(CONCURRENCY);
        while let Some((partition, found)) = searches.next().await {
            match found {
                Ok(count) => self.counts[partition] = count,
                Err(error) => tracing::debug!(%error, partition, "the outbox could not be read"),
            }
        }
        self.metrics.outbox_entries.set(self.counts.iter().sum());
    }
}

impl Worker for OutboxWorker {
    const NAME: &'static str = "outbox";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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

/// Repeats the updates of a partition that have been unconfirmed for some seconds. Returns the number of entries of
/// its outbox before.
pub async fn repeat_unconfirmed(store: &Store, partition: usize) -> Result<i64, Error> {
    let (unconfirmed, count) = store.find_unconfirmed(partition).await?;
    let repeats = unconfirmed
        .into_iter()
        .map(|(one, other)| async move { store.repeat_updates(&one, &other).await });
    let mut repeats = stream::iter(repeats).buffer_unordered(CONCURRENCY);
    while let Some(repeated) = repeats.next().await {
        if let Err(error) = repeated {
            tracing::debug!(%error, "an update of inboxes failed and will be repeated");
        }
    }
    Ok(count)
}
