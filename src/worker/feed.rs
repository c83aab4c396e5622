//! Drops events of the feed that subscriptions no longer need, completes what a process left of the creation or
//! deletion of a subscription, and measures what subscriptions have not read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Worker, every};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::limits::FEED_PARTITIONS;
use crate::store::{FeedLimits, Store, StoredSubscription, TrimmedFeed};

/// Interval between two passes.
const PERIOD: Duration = Duration::from_secs(10);
/// Without subscriptions, only every 60th pass looks at the feeds, for groups that were left behind.
const IDLE_PASSES: u64 = 60;
/// Number of partitions that are trimmed concurrently.
const CONCURRENCY: usize = 16;
/// Age at which an event is dropped even if a subscription has not read it.
const MAX_AGE: Duration = Duration::from_secs(72 * 3600);

/// What the feeds keep.
#[derive(Clone, Copy, Debug)]
pub struct FeedRetention {
    /// How long events are kept after every subscription has read them.
    pub keep: Duration,
    /// Maximum number of events.
    pub events: u64,
}

/// Works on the feeds of all partitions. Several processes may do so at once.
pub(super) struct FeedWorker {
    store: Store,
    metrics: Arc<Metrics>,
    retention: FeedRetention,
    passes: u64,
}

impl FeedWorker {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>, retention: FeedRetention) -> Self {
        Self {
            store,
            metrics,
            retention,
            passes: 0,
        }
    }

    async fn pass(&mut self) -> Result<(), Error> {
        let subscriptions = self.store.read_subscriptions().await?;
        self.passes += 1;
        if subscriptions.is_empty() && !self.passes.is_multiple_of(IDLE_PASSES) {
            self.metrics.set_subscriptions(&BTreeMap::new());
            self.metrics.set_webhooks(&BTreeMap::new());
            return Ok(());
        }
        complete(&self.store, &subscriptions).await;
        let trimmed = trim_feeds(&self.store, self.retention, &subscriptions).await?;
        let backlogs = trimmed.backlogs();
        let lost = backlogs
            .iter()
            .map(|(group, [.., lost])| (group.clone(), *lost));
        self.store.note_lost_events(lost);
        // A group is called by the name of its subscription and a generation.
        let name = |group: String| group.split(',').next().unwrap_or_default().to_owned();
        let backlogs = backlogs
            .into_iter()
            .map(|(group, counts)| (name(group), counts));
        self.metrics.set_subscriptions(&backlogs.collect());
        self.measure_webhooks(&subscriptions).await
    }

    async fn measure_webhooks(&self, subscriptions: &[StoredSubscription]) -> Result<(), Error> {
        let mut webhooks = BTreeMap::new();
        for stored in subscriptions {
            if stored.settings().url.is_some() {
                let state = self.store.describe_webhook(stored).await?;
                let numbers = [state.dead, state.is_failing.into()];
                webhooks.insert(stored.name().as_str().to_owned(), numbers);
            }
        }
        self.metrics.set_webhooks(&webhooks);
        Ok(())
    }
}

impl Worker for FeedWorker {
    const NAME: &'static str = "feed";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut ticks = every(PERIOD);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.pass().await {
                tracing::debug!(%error, "the feeds could not be trimmed");
            }
        }
    }
}

/// Completes the creation and deletion of subscriptions, also those that another process is at.
async fn complete(store: &Store, subscriptions: &[StoredSubscription]) {
    for stored in subscriptions {
        if let Err(error) = store.complete_subscription(stored).await {
            tracing::warn!(%error, "a subscription could not be completed and will be retried");
        }
    }
}

/// What is left in the feeds.
#[derive(Clone, Debug, Default)]
pub struct TrimmedFeeds(Vec<TrimmedFeed>);

impl TrimmedFeeds {
    /// Number of events.
    pub fn kept(&self) -> u64 {
        self.0.iter().map(|feed| feed.kept).sum()
    }

    /// What each group has not read: lag, pending and lost events.
    fn backlogs(&self) -> BTreeMap<String, [u64; 3]> {
        let mut backlogs = BTreeMap::new();
        for (group, lag, pending, lost) in self.0.iter().flat_map(|feed| &feed.groups) {
            let sum: &mut [u64; 3] = backlogs.entry(group.clone()).or_default();
            for (sum, count) in sum.iter_mut().zip([lag, pending, lost]) {
                *sum += count;
            }
        }
        backlogs
    }

    /// The largest number of events per partition with which all partitions together have at most `limit`.
    fn level(&self, limit: u64) -> u64 {
        let mut counts: Vec<_> = self.0.iter().map(|feed| feed.kept).collect();
        counts.sort_unstable();
        let mut left = limit;
        for (index, count) in counts.iter().enumerate() {
            let rest = (counts.len() - index) as u64;
            if count * rest > left {
                return left / rest;
            }
            left -= count;
        }
        limit
    }
}

/// Drops what the feeds need not keep. If they have too many events in total, the longest feeds are cut.
pub async fn trim_feeds(
    store: &Store,
    retention: FeedRetention,
    subscriptions: &[StoredSubscription],
) -> Result<TrimmedFeeds, Error> {
    let now = Utc::now().timestamp_millis();
    let before = |age: Duration| now - i64::try_from(age.as_millis()).unwrap_or(now);
    let mut limits = FeedLimits {
        keep_from_ms: before(retention.keep),
        oldest_ms: before(MAX_AGE),
        events: retention.events,
    };
    let trimmed = trim_each(store, limits, subscriptions).await?;
    if trimmed.kept() <= retention.events {
        return Ok(trimmed);
    }
    limits.events = trimmed.level(retention.events);
    trim_each(store, limits, subscriptions).await
}

async fn trim_each(
    store: &Store,
    limits: FeedLimits,
    subscriptions: &[StoredSubscription],
) -> Result<TrimmedFeeds, Error> {
    let trims =
        (0..FEED_PARTITIONS).map(|partition| store.trim_feed(partition, limits, subscriptions));
    let trims = stream::iter(trims).buffer_unordered(CONCURRENCY);
    trims.try_collect().await.map(TrimmedFeeds)
}
