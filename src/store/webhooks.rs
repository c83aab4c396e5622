//! What is known of the webhooks of subscriptions: who sends, with which secrets, and what failed.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::script::{
    DESCRIBE_WEBHOOK, LEASE_WEBHOOK, READ_ATTEMPTS, SETTLE_DELIVERY, STOP_WEBHOOK,
};
use super::stored_subscription::StoredSubscription;
use super::subscriptions::CONCURRENCY;
use super::{Store, WEBHOOK_ATTEMPTS};
use crate::error::{Code, Error};
use crate::model::{FeedEventId, WebhookSecret};

/// The right of a process to send the events of a subscription for some seconds.
#[derive(Clone, Debug)]
pub struct WebhookLease {
    /// What the process before kept of the endpoint; empty if there was none.
    pub circuit: String,
    /// The secrets that sign: the present one, and the one before while it still does.
    pub secrets: Vec<WebhookSecret>,
    /// Whether dead letters are to be sent again.
    pub has_retries: bool,
}

/// What is known of the endpoint of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookState {
    pub is_failing: bool,
    /// Number of dead letters.
    pub dead: u64,
}

/// An event that an endpoint has not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedEvent {
    pub id: FeedEventId,
    /// How often it failed.
    pub count: u64,
    /// Milliseconds until it is to be sent again.
    pub wait_ms: u64,
}

/// An attempt to send an event that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedAttempt {
    /// The number of the attempt, from 1.
    pub number: u64,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Milliseconds until the next attempt.
    pub wait_ms: u64,
    /// Milliseconds since the endpoint took an event, if it did.
    pub taken_ms: Option<u64>,
}

/// What becomes of an event that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// It is acknowledged.
    Done,
    /// It is to be sent again.
    Again,
    /// It failed too often, and is to be kept as a dead letter.
    Dead,
    /// This process no longer has it.
    Late,
}

/// The state of a circuit whose endpoint does not take events begins so.
pub const OPEN_CIRCUIT: &str = "open";

impl Store {
    /// Lets a process send the events of a subscription for a time, if no other process does. 0 ms give that back.
    /// `circuit` replaces what is kept of the endpoint, unless it is empty.
    pub async fn lease_webhook(
        &self,
        stored: &StoredSubscription,
        process: &str,
        lease_ms: u32,
        circuit: &str,
    ) -> Result<Option<WebhookLease>, Error> {
        let name = stored.name.as_str();
        let [subscriptions, webhook, _, dead_order, _] = self.keys.subscription(name);
        let keys = [subscriptions, webhook, dead_order];
        let args = [
            name,
            &stored.generation.to_string(),
            stored.settings_text(),
            process,
            &lease_ms.to_string(),
            circuit,
        ];
        let args = args.map(str::as_bytes);
        let (held, circuit, secret, old_secret, retries): (u8, String, String, String, u64) =
            self.run(&LEASE_WEBHOOK, &keys, &args).await?;
        let secrets = [secret, old_secret].into_iter();
        Ok((held == 1).then(|| WebhookLease {
            circuit,
            secrets: secrets
                .filter_map(|secret| WebhookSecret::try_from(secret).ok())
                .collect(),
            has_retries: retries > 0,
        }))
    }

    /// Stops sending the events of a subscription until it is changed.
    pub async fn stop_webhook(&self, stored: &StoredSubscription) -> Result<bool, Error> {
        let keys = [self.keys.subscriptions()];
        let args = [stored.name.as_str(), &stored.text].map(str::as_bytes);
        let stopped: u8 = self.run(&STOP_WEBHOOK, &keys, &args).await?;
        Ok(stopped == 1)
    }

    /// What is known of the endpoint of a subscription.
    pub async fn describe_webhook(
        &self,
        stored: &StoredSubscription,
    ) -> Result<WebhookState, Error> {
        let [_, webhook, _, dead_order, _] = self.keys.subscription(stored.name.as_str());
        let keys = [webhook, dead_order];
        let (circuit, dead): (String, u64) = self.run(&DESCRIBE_WEBHOOK, &keys, &[]).await?;
        Ok(WebhookState {
            is_failing: circuit.starts_with(OPEN_CIRCUIT),
            dead,
        })
    }

    /// The events of a subscription that its endpoint has not taken, of which there is one per partition at most.
    pub async fn read_attempts(
        &self,
        stored: &StoredSubscription,
    ) -> Result<Vec<FailedEvent>, Error> {
        let group = stored.group();
        let args = [group.as_bytes()];
        let partitions: Vec<_> = self.partitions_of(&stored.settings).into_iter().collect();
        let chunks = partitions
            .chunks(self.feeds_per_call())
            .map(<[u16]>::to_vec);
        let chunks: Vec<_> = chunks.collect();
        let calls = chunks.into_iter().map(async |some| {
            let keys = some
                .iter()
                .map(|partition| self.keys.readers_of((*partition).into()));
            let keys: Vec<_> = keys.collect();
            let rows: Vec<(usize, String, u64, u64)> =
                self.run(&READ_ATTEMPTS, &keys, &args).await?;
            let rows = rows
                .into_iter()
                .filter_map(|(place, entry, count, wait_ms)| {
                    let partition = *some.get(place)?;
                    let id = FeedEventId::of(partition, &entry)?;
                    Some(FailedEvent { id, count, wait_ms })
                });
            Ok::<Vec<_>, Error>(rows.collect())
        });
        let rows: Vec<_> = stream::iter(calls)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        Ok(rows.concat())
    }

    /// Decides what becomes of an event that was sent: without a failed attempt it is acknowledged.
    pub async fn settle_delivery(
        &self,
        stored: &StoredSubscription,
        process: &str,
        id: FeedEventId,
        failed: Option<FailedAttempt>,
    ) -> Result<DeliveryVerdict, Error> {
        let keys = self.keys.feed_and_readers(id.partition().into());
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        let status = failed.and_then(|attempt| attempt.status).map(u64::from);
        let taken_ms = failed.and_then(|attempt| attempt.taken_ms);
        let args = [
            stored.group(),
            process.to_owned(),
            id.entry(),
            failed.map_or(0, |attempt| attempt.number).to_string(),
            text(status).unwrap_or_default(),
            failed.map_or(0, |attempt| attempt.wait_ms).to_string(),
            text(taken_ms).unwrap_or_else(|| "-1".to_owned()),
            WEBHOOK_ATTEMPTS.to_string(),
        ];
        let args = args.each_ref().map(String::as_bytes);
        let verdict: String = self.run(&SETTLE_DELIVERY, &keys, &args).await?;
        match &*verdict {
            "done" => Ok(DeliveryVerdict::Done),
            "again" => Ok(DeliveryVerdict::Again),
            "dead" => Ok(DeliveryVerdict::Dead),
            "late" => Ok(DeliveryVerdict::Late),
            _ => Err(Error::new(
                Code::Internal,
                "A script gave an unknown verdict.",
            )),
        }
    }
}
