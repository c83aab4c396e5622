//! What subscriptions have not read: counted, moved and dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::DateTime;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::script::{DESCRIBE_FEED, SEEK_FEED, TRIM_FEED};
use super::stored_subscription::StoredSubscription;
use super::subscriptions::CONCURRENCY;
use crate::error::Error;
use crate::model::{
    Backlog, ConsumerName, ConsumerState, SeekResult, SeekTarget, SubscriptionName, rfc3339,
};
use crate::rate::{RateLimitRequest, RateLimited};

/// Events that one call counts, which takes Redis about 2 ms.
const COUNTED: &str = "1000";

/// What [`Store::trim_feed`] keeps.
#[derive(Clone, Copy, Debug)]
pub struct FeedLimits {
    /// Events from this time on are kept for replays, in milliseconds since 1970.
    pub keep_from_ms: i64,
    /// Events from this time on are kept for subscriptions that have not read them.
    pub oldest_ms: i64,
    /// Maximum number of events of a partition.
    pub events: u64,
}

/// What is left after [`Store::trim_feed`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrimmedFeed {
    pub dropped: u64,
    /// Number of events.
    pub kept: u64,
    /// What each group has not read.
    pub groups: Vec<GroupBacklog>,
}

/// What a group has not read: its name, lag, pending and lost events.
pub type GroupBacklog = (String, u64, u64, u64);

/// What a subscription has not read in a partition: lag, pending, lost, the oldest entry, and the consumer that has
/// the pending ones, and for how many milliseconds.
type PartitionBacklog = (u64, u64, u64, String, String, u64);

/// How many events each group lost, as this process counted them last.
#[derive(Default)]
pub(super) struct LostEvents(Mutex<HashMap<String, u64>>);

impl LostEvents {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Moves a subscription to another place. What its consumers have not acknowledged is dropped.
    pub async fn seek_subscription(
        &self,
        name: &SubscriptionName,
        to: SeekTarget,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<SeekResult>, Error> {
        let quota = self.charge_several(charge).await?;
        let stored = self.find_subscription(name).await?;
        let (group, to) = (stored.group(), to.script_arg());
        let partitions = self.partitions_of(&stored.settings);
        let seeks = partitions
            .into_iter()
            .map(async |partition| self.seek_feed(partition, &group, &to).await);
        let seeks = stream::iter(seeks).buffer_unordered(CONCURRENCY);
        let follow: Vec<_> = seeks.try_collect().await?;
        let value = SeekResult {
            name: name.clone(),
            lag: follow.into_iter().sum(),
        };
        Ok(RateLimited { value, quota })
    }

    /// Moves a group to another place of the feed of a partition. Returns how many events follow.
    pub async fn seek_feed(&self, partition: u16, group: &str, to: &str) -> Result<u64, Error> {
        let keys = [self.keys.feed_of(partition.into())];
        let (mut from, mut counted) = (to.to_owned(), 0);
        loop {
            let before = counted.to_string();
            let args = [group, to, &from, &before, COUNTED].map(str::as_bytes);
            let (next, follow): (Option<String>, u64) = self.run(&SEEK_FEED, &keys, &args).await?;
            counted = follow;
            match next {
                Some(next) => from = next,
                None => return Ok(counted),
            }
        }
    }

    /// What a subscription has not read.
    pub(super) async fn describe_backlog(
        &self,
        stored: &StoredSubscription,
    ) -> Result<Backlog, Error> {
        let mut backlog = Backlog::default();
        let mut oldest: Option<u64> = None;
        let mut consumers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (lag, pending, lost, entry, consumer, idle_ms) in self.describe_feed(stored).await? {
            backlog.lag += lag;
            backlog.pending += pending;
            backlog.lost += lost;
            let ms = entry.split('-').next().and_then(|ms| ms.parse().ok());
            oldest = oldest.into_iter().chain(ms).min();
            if pending > 0 {
                let known = consumers.entry(consumer).or_insert((0, u64::MAX));
                *known = (known.0 + pending, known.1.min(idle_ms));
            }
        }
        let oldest = oldest.and_then(|ms| i64::try_from(ms).ok());
        backlog.oldest_at = oldest
            .and_then(DateTime::from_timestamp_millis)
            .map(rfc3339);
        backlog.consumers = consumers
            .into_iter()
            .filter_map(|(consumer, (pending, idle_ms))| {
                Some(ConsumerState {
                    id: ConsumerName::try_from(consumer).ok()?,
                    pending,
                    idle_s: idle_ms / 1000,
                })
            })
            .collect();
        Ok(backlog)
    }

    /// What a subscription has not read in each partition.
    pub async fn describe_feed(
        &self,
        stored: &StoredSubscription,
    ) -> Result<Vec<PartitionBacklog>, Error> {
        let group = stored.group();
        let args = [group.as_bytes()];
        let partitions = self.partitions_of(&stored.settings);
        let keys = |partition| self.keys.feed_and_readers(partition).to_vec();
        let rows = self.run_on_feeds::<Vec<_>>(&DESCRIBE_FEED, &partitions, keys, &args);
        Ok(rows.await?.concat())
    }

    /// The number of events that a subscription lost, as this process counted it last.
    pub(super) async fn lost_events(&self, stored: &StoredSubscription) -> Result<u64, Error> {
        let group = stored.group();
        let known = self.lost_events.lock().get(&group).copied();
        if let Some(lost) = known {
            return Ok(lost);
        }
        let lost = self.describe_backlog(stored).await?.lost;
        self.lost_events.lock().insert(group, lost);
        Ok(lost)
    }

    /// Drops events of a partition that are no longer needed, and those that exceed the limits. Groups for which none of
    /// the subscriptions asks are removed.
    pub async fn trim_feed(
        &self,
        partition: u16,
        limits: FeedLimits,
        subscriptions: &[StoredSubscription],
    ) -> Result<TrimmedFeed, Error> {
        let keys = self.keys.feed_and_readers(partition.into());
        let FeedLimits {
            keep_from_ms,
            oldest_ms,
            events,
        } = limits;
        let limits = [
            format!("{}-0", keep_from_ms.max(1)),
            format!("{}-0", oldest_ms.max(1)),
            events.to_string(),
        ];
        let groups = subscriptions.iter().flat_map(|stored| {
            let is_read = self.partitions_of(&stored.settings).contains(&partition);
            let revision = if is_read { 0 } else { stored.revision };
            [stored.group(), revision.to_string()]
        });
        let args: Vec<_> = limits.into_iter().chain(groups).collect();
        let args: Vec<_> = args.iter().map(String::as_bytes).collect();
        let (dropped, kept, groups) = self.run(&TRIM_FEED, &keys, &args).await?;
        Ok(TrimmedFeed {
            dropped,
            kept,
            groups,
        })
    }

    /// Notes how many events each subscription lost.
    pub fn note_lost_events(&self, lost: impl IntoIterator<Item = (String, u64)>) {
        *self.lost_events.lock() = lost.into_iter().collect();
    }
}
