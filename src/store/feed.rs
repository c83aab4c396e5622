//! The feeds: what subscriptions take and acknowledge.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::feed_cluster::PageSpace;
use super::script::{ACK_EVENTS, TAKE_EVENTS};
use super::stored_subscription::StoredSubscription;
use super::subscriptions::CONCURRENCY;
use super::{PAGE_SIZE, Store};
use crate::error::{Code, Error};
use crate::model::{
    AckResult, ConsumerName, FeedEventId, FeedEventType, RawFeedEvent, RawFeedPage,
    SubscriptionName,
};
use crate::rate::{RateLimitRequest, RateLimited};

/// What a consumer asks for.
#[derive(Clone, Copy, Debug)]
pub struct TakeRequest<'a> {
    pub subscription: &'a SubscriptionName,
    pub consumer: &'a ConsumerName,
    /// Maximum number of events.
    pub limit: u16,
}

/// An event in a reply: the place of its partition in the call, its entry, how often it was given, its type and data. The
/// data of a new message is the message.
type TakenEvent = (usize, String, u64, String, String);

/// The arguments of a call that takes events, but for those that differ from partition to partition.
pub(super) struct Take<'a> {
    group: String,
    consumer: &'a str,
    ack_wait_ms: String,
    types: String,
    rooms: String,
}

impl<'a> Take<'a> {
    fn of(stored: &StoredSubscription, consumer: &'a str, ack_wait_ms: u32) -> Self {
        let settings = &stored.settings;
        let rooms = settings.rooms.iter().map(|room| room.name().as_str());
        let types = settings.types.iter().map(|kind| kind.as_str());
        Self {
            group: stored.group(),
            consumer,
            ack_wait_ms: ack_wait_ms.to_string(),
            types: between_commas(types),
            rooms: between_commas(rooms),
        }
    }
}

impl Store {
    /// The next events of a subscription for a consumer; those that it has not acknowledged come again.
    pub async fn take_events(
        &self,
        request: TakeRequest<'_>,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<RawFeedPage>, Error> {
        let quota = self.charge_several(charge).await?;
        let stored = self.find_pulled(request.subscription).await?;
        let partitions = self.partitions_of(&stored.settings);
        let ack_wait_ms = u32::from(stored.settings.ack_wait_s.seconds()) * 1000;
        let take = Take::of(&stored, request.consumer.as_str(), ack_wait_ms);
        let space = PageSpace {
            events: request.limit.into(),
            bytes: PAGE_SIZE,
        };
        let events = if self.two_steps {
            self.take_by_partition(&take, &partitions, space).await?
        } else {
            let partitions: Vec<_> = partitions.into_iter().collect();
            self.take_some(&take, &partitions, space, "").await?
        };
        let lost = self.lost_events(&stored).await?;
        let value = RawFeedPage { events, lost };
        Ok(RateLimited { value, quota })
    }

    /// A subscription whose events consumers take.
    async fn find_pulled(&self, name: &SubscriptionName) -> Result<StoredSubscription, Error> {
        let stored = self.find_subscription(name).await?;
        if stored.settings.url.is_some() {
            return Err(Code::SubscriptionIsPushed.into());
        }
        Ok(stored)
    }

    /// The next events of some partitions, for the process that sends them to a webhook. It takes over what others
    /// were given.
    pub async fn take_for_webhook(
        &self,
        stored: &StoredSubscription,
        process: &str,
        partitions: &BTreeSet<u16>,
        limit: usize,
    ) -> Result<Vec<RawFeedEvent>, Error> {
        let take = Take::of(stored, process, 0);
        let mut partitions: Vec<_> = partitions.iter().copied().collect();
        let first = random_below(partitions.len());
        let mut space = PageSpace {
            events: limit,
            bytes: PAGE_SIZE,
        };
        if !self.two_steps {
            return self.take_some(&take, &partitions, space, "").await;
        }
        let share = space.divided_by(CONCURRENCY);
        let (take, mut events) = (&take, Vec::new());
        partitions.rotate_left(first);
        for some in partitions.chunks(CONCURRENCY) {
            let calls = some.iter().copied();
            let calls =
                calls.map(async |partition| self.take_some(take, &[partition], share, "").await);
            let taken = try_join_all(calls).await?.concat();
            space.occupy(&taken);
            events.extend(taken);
            if space.is_full() {
                break;
            }
        }
        Ok(events)
    }

    /// Takes events of some partitions. Repeated if those that were read are not wanted.
    pub(super) async fn take_some(
        &self,
        take: &Take<'_>,
        partitions: &[u16],
        space: PageSpace,
        part: &str,
    ) -> Result<Vec<RawFeedEvent>, Error> {
        loop {
            let (events, more) = self.take_once(take, partitions, space, part).await?;
            if !more || !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// One call. Returns the events, and whether there may be more because those that were read are not wanted.
    async fn take_once(
        &self,
        take: &Take<'_>,
        partitions: &[u16],
        space: PageSpace,
        part: &str,
    ) -> Result<(Vec<RawFeedEvent>, bool), Error> {
        let keys: Vec<_> = partitions
            .iter()
            .flat_map(|partition| self.keys.feed_and_readers((*partition).into()))
            .collect();
        let (limit, bytes) = (space.events.to_string(), space.bytes.to_string());
        let first = random_below(partitions.len()).to_string();
        let args = [
            &take.group,
            take.consumer,
            &limit,
            &bytes,
            &take.ack_wait_ms,
            &take.types,
            &take.rooms,
            &first,
            part,
        ];
        let args = args.map(str::as_bytes);
        let (taken, more): (Vec<TakenEvent>, u8) = self.run(&TAKE_EVENTS, &keys, &args).await?;
        let events = taken
            .into_iter()
            .filter_map(|(index, entry, attempt, kind, data)| {
                let id = FeedEventId::of(*partitions.get(index)?, &entry)?;
                let is_new_message = kind == FeedEventType::MessageCreated.as_str();
                let data = if is_new_message {
                    RawFeedEvent::data_of_message(&data)?
                } else {
                    data
                };
                Some(RawFeedEvent {
                    id,
                    kind,
                    attempt,
                    data,
                })
            });
        Ok((events.collect(), more == 1))
    }

    /// Acknowledges events: each with those before it in its partition.
    pub async fn ack_events(
        &self,
        subscription: &SubscriptionName,
        consumer: &ConsumerName,
        ids: &[FeedEventId],
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<AckResult>, Error> {
        let quota = self.charge_several(charge).await?;
        let group = self.find_pulled(subscription).await?.group();
        let mut last: BTreeMap<u16, FeedEventId> = BTreeMap::new();
        for id in ids {
            let known = last.entry(id.partition()).or_insert(*id);
            *known = (*known).max(*id);
        }
        let last: Vec<_> = last.into_values().collect();
        let at_once = if self.two_steps { 1 } else { last.len().max(1) };
        let calls = last.chunks(at_once).map(async |last| {
            let keys: Vec<_> = last
                .iter()
                .flat_map(|id| self.keys.feed_and_readers(id.partition().into()))
                .collect();
            let entries: Vec<_> = last.iter().map(|id| id.entry()).collect();
            let args = [group.as_str(), consumer.as_str()];
            let args = args.into_iter().chain(entries.iter().map(String::as_str));
            let args: Vec<_> = args.map(str::as_bytes).collect();
            self.run::<Vec<i64>>(&ACK_EVENTS, &keys, &args).await
        });
        let acknowledged = try_join_all(calls).await?.concat();
        let mut value = AckResult::default();
        for (id, count) in last.iter().zip(acknowledged) {
            match u64::try_from(count) {
                Ok(count) => value.acknowledged += count,
                Err(_) => {
                    let late = ids.iter().filter(|each| each.partition() == id.partition());
                    value.late.extend(late);
                }
            }
        }
        Ok(RateLimited { value, quota })
    }
}

/// The texts, each with a comma before and after it; empty if there are none.
fn between_commas<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.collect();
    if texts.is_empty() {
        return String::new();
    }
    [",", &texts.join(","), ","].concat()
}

/// A random number below another one, so that no partition is always read first.
pub(super) fn random_below(count: usize) -> usize {
    let random = getrandom::u32().unwrap_or_default();
    usize::try_from(random).unwrap_or_default() % count.max(1)
}
