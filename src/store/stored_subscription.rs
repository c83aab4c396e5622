//! A subscription as the store keeps it.

use chrono::{DateTime, Utc};

use super::Store;
use crate::error::{Code, Error};
use crate::model::{Subscription, SubscriptionName, SubscriptionSettings, SubscriptionState};

/// A subscription as the store keeps it.
#[derive(Clone, Debug)]
pub struct StoredSubscription {
    pub(super) name: SubscriptionName,
    /// When it was created, in microseconds since 1970. Distinguishes it from others of the same name.
    pub(super) generation: i64,
    /// Grows with each change of the settings.
    pub(super) revision: u64,
    pub(super) phase: Phase,
    pub(super) settings: SubscriptionSettings,
    /// The text of the store.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    Open,
    Closing,
    /// Its webhook answered 410.
    Stopped,
}

impl StoredSubscription {
    /// Reads a subscription as `lua/lib/subscription.lua` has it.
    pub(super) fn parse(name: SubscriptionName, text: String) -> Result<Self, Error> {
        let malformed = || Error::new(Code::Internal, "A stored subscription is malformed.");
        let parts: Vec<_> = text.splitn(4, '|').collect();
        let [generation, revision, phase, settings] = parts[..] else {
            return Err(malformed());
        };
        let phase = match phase {
            "opening" => Phase::Opening,
            "open" => Phase::Open,
            "closing" => Phase::Closing,
            "stopped" => Phase::Stopped,
            _ => return Err(malformed()),
        };
        Ok(Self {
            name,
            generation: generation.parse().map_err(|_| malformed())?,
            revision: revision.parse().map_err(|_| malformed())?,
            phase,
            settings: serde_json::from_str(settings).map_err(|_| malformed())?,
            text,
        })
    }

    pub fn name(&self) -> &SubscriptionName {
        &self.name
    }

    pub fn settings(&self) -> &SubscriptionSettings {
        &self.settings
    }

    /// Whether its events are to be sent to its webhook.
    pub fn is_sent(&self) -> bool {
        self.phase == Phase::Open && self.settings.url.is_some() && !self.settings.paused
    }

    /// The text of its settings, with which scripts recognize that they were changed.
    pub(super) fn settings_text(&self) -> &str {
        self.text.splitn(4, '|').nth(3).unwrap_or_default()
    }

    /// The name of its groups.
    pub(super) fn group(&self) -> String {
        format!("{},{}", self.name.as_str(), self.generation)
    }

    /// The subscription with what it has not read.
    pub(super) async fn describe(self, store: &Store) -> Result<Subscription, Error> {
        let mut backlog = store.describe_backlog(&self).await?;
        let webhook = store.describe_webhook(&self).await?;
        backlog.dead = webhook.dead;
        let created_at = DateTime::<Utc>::from_timestamp_micros(self.generation);
        Ok(Subscription {
            state: self.state(webhook.is_failing),
            name: self.name,
            settings: self.settings,
            created_at: created_at.unwrap_or_default(),
            backlog,
            secret: None,
        })
    }

    fn state(&self, is_failing: bool) -> SubscriptionState {
        match self.phase {
            Phase::Opening | Phase::Closing => SubscriptionState::Opening,
            Phase::Stopped => SubscriptionState::Gone,
            Phase::Open if self.settings.paused => SubscriptionState::Paused,
            Phase::Open if is_failing => SubscriptionState::Failing,
            Phase::Open => SubscriptionState::Open,
        }
    }
}
