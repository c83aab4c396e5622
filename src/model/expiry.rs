//! Messages that expire: for how long they last, and what is shown of them afterwards.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoredMessage;
use super::json::JsonInteger;

/// Seconds after which a message expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "JsonInteger")]
#[schema(minimum = 1, maximum = 7_776_000)]
pub struct ExpiresIn(u32);

impl ExpiresIn {
    /// 90 days.
    pub const MAX_S: u32 = 90 * 24 * 60 * 60;

    /// The seconds.
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
            .ok_or("a message expires in 1 to 7776000 seconds (90 days)")
    }
}

impl StoredMessage {
    /// The message as it is shown at a time: its tombstone from the time at which it expires, also while it
    /// is still stored with its content.
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> Self {
        expired(&self.0, now).map(Self).unwrap_or(self)
    }
}

/// The tombstone of a message that has expired at a time; `None` if it has not. The message is JSON as it is stored,
/// with or without its `seq`.
pub fn expired(message: &str, now: DateTime<Utc>) -> Option<String> {
    let expires_at = expires_at(message)?;
    let is_over = expires_at.parse::<DateTime<Utc>>().ok()? <= now;
    is_over.then(|| tombstone(message, expires_at)).flatten()
}

/// When a message expires, if it does and is not a tombstone. Like scripts, this relies on the order of the members,
/// see `lua/lib/message.lua`.
pub(super) fn expires_at(message: &str) -> Option<&str> {
    let (_, rest) = after_sender(message)?;
    rest.strip_prefix("\"expires_at\":\"")?.split('"').next()
}

/// What `lua/lib/tombstone.lua` puts in the place of a message.
pub(super) fn tombstone(message: &str, deleted_at: &str) -> Option<String> {
    let (head, rest) = after_sender(message)?;
    // In a text in front of it quotes are escaped.
    let (envelope, _) = rest.split_once("\"body\":\"")?;
    Some(format!(
        "{head}\"deleted_at\":\"{deleted_at}\",{envelope}\"body\":\"\"}}"
    ))
}

/// Splits a message behind its sender and the comma that follows.
fn after_sender(message: &str) -> Option<(&str, &str)> {
    const FROM: &str = "\"from\":\"";
    const END: &str = "\",";
    let sender = message.find(FROM)? + FROM.len();
    // No id holds a quote.
    let end = sender + message.get(sender..)?.find(END)? + END.len();
    message.split_at_checked(end)
}
