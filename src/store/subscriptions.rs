//! The settings of subscriptions, and the groups of Redis that belong to them.
//!
//! A subscription has a consumer group in the feed of each partition, see `lua/lib/reader.lua`. Its groups cannot be
//! created in one step, so the subscription is marked as opening or closing first; whoever finds it so, for example
//! after a process died, completes it. Each step may be repeated.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use chrono::Utc;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::FromRedisValue;

use super::script::{
    CLOSE_FEED, DELETE_SUBSCRIPTION, LIST_SUBSCRIPTIONS, OPEN_FEED, READ_SUBSCRIPTION,
    SET_SUBSCRIPTION, SETTLE_SUBSCRIPTION, Script,
};
use super::stored_subscription::{Phase, StoredSubscription};
use super::{PARTITIONS, Store, flag};
use crate::error::{Code, Error};
use crate::model::limits::FEED_PARTITIONS;
use crate::model::{
    Subscription, SubscriptionList, SubscriptionName, SubscriptionSettings, WebhookSecret,
};
use crate::rate::{RateLimitRequest, RateLimited};

/// Maximum number of subscriptions. Each takes 41 KB of Redis.
const LIMIT: &str = "32";
/// Partitions in one call on one Redis, which takes it less than a millisecond.
const GROUP: usize = 64;
/// Calls for partitions that are made concurrently.
pub(super) const CONCURRENCY: usize = 16;
/// How often a request completes a subscription that others change at the same time.
const ATTEMPTS: usize = 5;

/// What [`Store::set_subscription`] sets.
#[derive(Clone, Copy, Debug)]
pub struct SetSubscription<'a> {
    pub name: &'a SubscriptionName,
    pub settings: &'a SubscriptionSettings,
    /// The secret of the webhook; without it the one there is stays, or a random one is made.
    pub secret: Option<&'a WebhookSecret>,
    /// Whether an existing subscription is refused.
    pub only_create: bool,
}

impl Store {
    /// Creates a subscription, or replaces the settings of one. Returns it, and whether it was created.
    pub async fn set_subscription(
        &self,
        request: SetSubscription<'_>,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<(Subscription, bool)>, Error> {
        let quota = self.charge_several(charge).await?;
        let SetSubscription { name, settings, .. } = request;
        self.complete_deletion(name).await?;
        let json = serde_json::to_string(settings).unwrap_or_default();
        let generation = Utc::now().timestamp_micros().to_string();
        let is_pushed = settings.url.is_some();
        let random = is_pushed.then(WebhookSecret::random).transpose()?;
        let args = [
            name.as_str(),
            &generation,
            &json,
            LIMIT,
            flag(request.only_create),
            request.secret.map_or("", WebhookSecret::as_str),
            random.as_ref().map_or("", WebhookSecret::as_str),
            flag(settings.reads_badges()),
        ];
        let (keys, args) = (
            self.keys.subscription(name.as_str()),
            args.map(str::as_bytes),
        );
        let (created, text, made): (u8, String, String) =
            self.run(&SET_SUBSCRIPTION, &keys, &args).await?;
        let mut stored = StoredSubscription::parse(name.clone(), text)?;
        for _ in 0..ATTEMPTS {
            let is_complete = self.complete_subscription(&stored).await?;
            stored = self.find_subscription(name).await?;
            if is_complete {
                let mut subscription = stored.describe(self).await?;
                subscription.secret = WebhookSecret::try_from(made).ok();
                let value = (subscription, created == 1);
                return Ok(RateLimited { value, quota });
            }
        }
        Err(Code::Unavailable.into())
    }

    /// Reads a subscription.
    pub async fn read_subscription(
        &self,
        name: &SubscriptionName,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<Subscription>, Error> {
        let quota = self.charge_several(charge).await?;
        let stored = self.find_subscription(name).await?;
        let value = stored.describe(self).await?;
        Ok(RateLimited { value, quota })
    }

    /// Reads all subscriptions.
    pub async fn list_subscriptions(
        &self,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<SubscriptionList>, Error> {
        let quota = self.charge_several(charge).await?;
        let mut subscriptions = Vec::new();
        for stored in self.read_subscriptions().await? {
            if stored.phase != Phase::Closing {
                subscriptions.push(stored.describe(self).await?);
            }
        }
        let value = SubscriptionList { subscriptions };
        Ok(RateLimited { value, quota })
    }

    /// Deletes a subscription and everything that only it needed.
    pub async fn delete_subscription(
        &self,
        name: &SubscriptionName,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<()>, Error> {
        let quota = self.charge_several(charge).await?;
        let keys = [self.keys.subscriptions()];
        let args = [name.as_str().as_bytes()];
        let text: String = self.run(&DELETE_SUBSCRIPTION, &keys, &args).await?;
        // It is gone for its readers. The worker completes what fails here.
        let stored = StoredSubscription::parse(name.clone(), text)?;
        if let Err(error) = self.complete_subscription(&stored).await {
            tracing::debug!(%error, "the deletion of a subscription will be completed later");
        }
        Ok(RateLimited { value: (), quota })
    }

    /// The settings of a subscription.
    pub async fn find_subscription(
        &self,
        name: &SubscriptionName,
    ) -> Result<StoredSubscription, Error> {
        let keys = [self.keys.subscriptions()];
        let args = [name.as_str().as_bytes()];
        let text = self.run(&READ_SUBSCRIPTION, &keys, &args).await?;
        StoredSubscription::parse(name.clone(), text)
    }

    /// The settings of all subscriptions by name, also of those that are being deleted.
    pub async fn read_subscriptions(&self) -> Result<Vec<StoredSubscription>, Error> {
        let keys = [self.keys.subscriptions()];
        let stored: Vec<(String, String)> = self.run(&LIST_SUBSCRIPTIONS, &keys, &[]).await?;
        let stored = stored.into_iter().filter_map(|(name, text)| {
            let name = SubscriptionName::try_from(name).ok()?;
            Some(StoredSubscription::parse(name, text))
        });
        let mut stored = stored.collect::<Result<Vec<_>, _>>()?;
        stored.sort_by(|one, other| one.name.cmp(&other.name));
        let reads_badges = stored.iter().any(|stored| stored.settings.reads_badges());
        self.reads_badges.store(reads_badges, Ordering::Relaxed);
        Ok(stored)
    }

    /// The keys of a call that changes the inbox of a user, besides those of the inbox: on a cluster the badges of the
    /// partition, and who is online there. None if no subscription is known to read badges: while a slot moves, Redis
    /// refuses calls with a key that does not exist. If there is one nevertheless, scripts find the badges without
    /// these keys, except while the slot moves.
    pub(super) fn badge_keys(&self, user: &str) -> Vec<String> {
        if self.two_steps && self.reads_badges.load(Ordering::Relaxed) {
            return vec![self.keys.badges(user), self.keys.leases(user)];
        }
        Vec::new()
    }

    /// Completes the deletion of the subscription that has this name, if there is one.
    async fn complete_deletion(&self, name: &SubscriptionName) -> Result<(), Error> {
        let all = self.read_subscriptions().await?;
        let closing = all.iter().find(|stored| stored.name == *name);
        if let Some(stored) = closing.filter(|stored| stored.phase == Phase::Closing) {
            self.complete_subscription(stored).await?;
        }
        Ok(())
    }

    /// Creates or removes the groups of a subscription that is opening or closing, and notes that they are. Returns
    /// `false` if it was changed meanwhile. Then this call removes no group that the later settings asked for, and
    /// [`Store::trim_feed`] removes those that it created and the later settings do not ask for.
    pub async fn complete_subscription(&self, stored: &StoredSubscription) -> Result<bool, Error> {
        let wanted = self.partitions_of(&stored.settings);
        let all: BTreeSet<_> = (0..FEED_PARTITIONS).collect();
        match stored.phase {
            Phase::Open | Phase::Stopped => return Ok(true),
            Phase::Opening => {
                if stored.settings.reads_badges() {
                    self.reads_badges.store(true, Ordering::Relaxed);
                }
                self.open_feed(stored, &wanted).await?;
                let others: BTreeSet<_> = all.difference(&wanted).copied().collect();
                self.close_feed(stored, &others).await?;
            }
            Phase::Closing => self.close_feed(stored, &all).await?,
        }
        self.settle_subscription(stored).await
    }

    /// Notes that the groups of a subscription were created or removed. Returns `false` if it was changed meanwhile.
    pub async fn settle_subscription(&self, stored: &StoredSubscription) -> Result<bool, Error> {
        let keys = self.keys.subscription(stored.name.as_str());
        let reads_badges = flag(stored.settings.reads_badges());
        let args = [stored.name.as_str(), &stored.text, reads_badges].map(str::as_bytes);
        let settled: u8 = self.run(&SETTLE_SUBSCRIPTION, &keys, &args).await?;
        Ok(settled == 1)
    }

    /// Those of the [`FEED_PARTITIONS`] that a subscription reads.
    pub fn partitions_of(&self, settings: &SubscriptionSettings) -> BTreeSet<u16> {
        let mut partitions = BTreeSet::new();
        if settings.reads_conversations() {
            let rooms = settings.rooms.iter();
            partitions.extend(rooms.map(|room| self.keys.partition(room.name().as_str())));
            if partitions.is_empty() {
                partitions.extend(0..PARTITIONS);
            }
        }
        // The badges of a user are in the partition of the user, also those that a room changes.
        if settings.reads_badges() {
            partitions.extend(PARTITIONS..FEED_PARTITIONS);
        }
        partitions
    }

    /// Creates the group of a subscription in the feeds of some partitions.
    pub async fn open_feed(
        &self,
        stored: &StoredSubscription,
        partitions: &BTreeSet<u16>,
    ) -> Result<(), Error> {
        let (group, from) = (stored.group(), stored.settings.from.as_str());
        let revision = stored.revision.to_string();
        let args = [group.as_str(), from, &revision].map(str::as_bytes);
        let keys = |partition| self.keys.feed_and_readers(partition).to_vec();
        self.run_on_feeds::<u64>(&OPEN_FEED, partitions, keys, &args)
            .await
            .map(|_| ())
    }

    /// Removes the group of a subscription from the feeds of some partitions, unless later settings asked for it.
    pub async fn close_feed(
        &self,
        stored: &StoredSubscription,
        partitions: &BTreeSet<u16>,
    ) -> Result<(), Error> {
        let args = [stored.group(), stored.revision.to_string()];
        let args = args.each_ref().map(String::as_bytes);
        let keys = |partition| self.keys.feed_and_readers(partition).to_vec();
        self.run_on_feeds::<u64>(&CLOSE_FEED, partitions, keys, &args)
            .await
            .map(|_| ())
    }

    /// Number of feeds that one call can be about.
    pub(super) fn feeds_per_call(&self) -> usize {
        if self.two_steps { 1 } else { GROUP }
    }

    /// Runs a script on the feeds of some partitions, whose keys `keys` names: on one Redis many partitions in a call,
    /// on a cluster, where each is in a slot of its own, one.
    pub(super) async fn run_on_feeds<T: FromRedisValue>(
        &self,
        script: &'static Script,
        partitions: &BTreeSet<u16>,
        keys: impl Fn(usize) -> Vec<String>,
        args: &[&[u8]],
    ) -> Result<Vec<T>, Error> {
        let partitions: Vec<_> = partitions.iter().copied().collect();
        let at_once = self.feeds_per_call();
        let of_call = |some: &[u16]| some.iter().flat_map(|p| keys((*p).into())).collect();
        let calls: Vec<Vec<_>> = partitions.chunks(at_once).map(of_call).collect();
        let calls = calls
            .into_iter()
            .map(async |keys| self.run(script, &keys, args).await);
        let replies = stream::iter(calls).buffer_unordered(CONCURRENCY);
        replies.try_collect().await
    }
}
