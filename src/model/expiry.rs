//! Messages that expire: their lifetime, and the tombstone that replaces them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoredMessage;
use super::json::JsonInteger;

/// The lifetime of a message in seconds: 1 to 7,776,000 (90 days).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "JsonInteger")]
#[schema(minimum = 1, maximum = 7_776_000)]
pub struct ExpiresIn(u32);

impl ExpiresIn {
    /// The maximum: 90 days.
    pub const MAX_S: u32 = 90 * 24 * 60 * 60;

    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl TryFrom<JsonInteger> for ExpiresIn {
    type Error = &'static str;

    fn try_from(JsonInteger(seconds): JsonInteger) -> Result<Self, Self::Error> {
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| (1..=Self::MAX_S).contains(seconds))
            .map(Self)
            .ok_or("must be 1 to 7776000 seconds (90 days)")
    }
}

impl StoredMessage {
    /// The tombstone of the message if it is deleted at a time; `None` if it is one already. If it expired before, its
    /// time of deletion is that of the expiry.
    pub fn erased(&self, deleted_at: &str) -> Option<Self> {
        let (_, rest) = after_sender(&self.0)?;
        if rest.starts_with("\"deleted_at\"") {
            return None;
        }
        let expired_before = expires_at(&self.0).filter(|expires_at| *expires_at < deleted_at);
        tombstone(&self.0, expired_before.unwrap_or(deleted_at)).map(Self)
    }

    /// Who wrote a stored message; `None` if it is a tombstone.
    pub fn author_of(message: &str) -> Option<&str> {
        let (head, rest) = after_sender(message)?;
        let (_, sender) = head.split_once("\"from\":\"")?;
        let is_tombstone = rest.starts_with("\"deleted_at\"");
        sender.strip_suffix("\",").filter(|_| !is_tombstone)
    }

    /// The entry of the message in the schedule, in the form of `lua/lib/schedule.lua`, also if it is a tombstone; `None`
    /// if it does not expire.
    pub fn schedule_entry(&self) -> Option<String> {
        let (_, rest) = after_sender(&self.0)?;
        let (envelope, _) = rest.split_once("\"to\":\"")?;
        if !envelope.contains("\"expires_at\":") {
            return None;
        }
        let member = |name: &str| {
            let (_, rest) = self.0.split_once(&format!("\"{name}\":\""))?;
            rest.split('"').next()
        };
        let (from, to, id) = (member("from")?, member("to")?, member("id")?);
        Some(format!("message,{from},{to},{},{id}", self.seq()?))
    }

    /// The message as clients see it at a time. From its expiry on it is a tombstone, even while the store
    /// still has its content.
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> Self {
        expired(&self.0, now).map(Self).unwrap_or(self)
    }
}

/// The tombstone of a message that has expired by a time; `None` if it has not. The message is its stored JSON,
/// with or without `seq`.
pub fn expired(message: &str, now: DateTime<Utc>) -> Option<String> {
    let expires_at = expires_at(message)?;
    let has_expired = expires_at.parse::<DateTime<Utc>>().ok()? <= now;
    has_expired
        .then(|| tombstone(message, expires_at))
        .flatten()
}

/// When a message expires; `None` if it does not, or if it is a tombstone. Relies on the order of the members, as
/// scripts do: see `lua/lib/message.lua`.
pub(super) fn expires_at(message: &str) -> Option<&str> {
    let (_, rest) = after_sender(message)?;
    rest.strip_prefix("\"expires_at\":\"")?.split('"').next()
}

/// The tombstone of a message, in the form of `lua/lib/tombstone.lua`.
pub(super) fn tombstone(message: &str, deleted_at: &str) -> Option<String> {
    let (head, rest) = after_sender(message)?;
    // Quotes in earlier texts are escaped, so this is the first match.
    let (envelope, _) = rest.split_once("\"body\":\"")?;
    Some(format!(
        "{head}\"deleted_at\":\"{deleted_at}\",{envelope}\"body\":\"\"}}"
    ))
}

/// Splits a message after its sender and the following comma.
fn after_sender(message: &str) -> Option<(&str, &str)> {
    const FROM: &str = "\"from\":\"";
    const END: &str = "\",";
    let sender = message.find(FROM)? + FROM.len();
    // No user id contains a quote.
    let end = sender + message.get(sender..)?.find(END)? + END.len();
    message.split_at_checked(end)
}
