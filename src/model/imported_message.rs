//! A message of an import, ready to be stored.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Pair, Seq, UserId, digest};

pub struct ImportedMessage {
    /// The index of its line in the batch, from 0.
    pub line: usize,
    /// The conversation it belongs to.
    pub pair: Pair,
    pub from: UserId,
    pub to: UserId,
    pub sent_at: DateTime<Utc>,
    /// The position that the line requires.
    pub place: Option<Seq>,
    /// The `seq` of the message that this one replies to.
    pub reply_to: Option<Seq>,
    /// When the message expires; `None` if it does not, or if it is a tombstone.
    pub expires_at: Option<DateTime<Utc>>,
    /// The JSON of the message from its second member on.
    pub json: String,
    /// Distinguishes the message from others with the same id.
    pub fingerprint: String,
    pub(super) id: Uuid,
}

impl ImportedMessage {
    /// Identifies the message: a digest of its id.
    pub fn key(&self) -> String {
        short_digest(self.id.as_bytes(), 16)
    }
}

/// A digest of a message: its JSON from the second member on.
pub(super) fn fingerprint(json: &str) -> String {
    // Objects are unordered.
    let message = format!("{{{json}");
    let mut message = serde_json::from_str::<serde_json::Value>(&message).unwrap_or_default();
    message.sort_all_objects();
    short_digest(message.to_string().as_bytes(), 8)
}

fn short_digest(bytes: &[u8], length: usize) -> String {
    let mut text = digest(bytes);
    text.truncate(length);
    text
}
