//! Messages on the WebSocket and pages of history, with the members that the chat uses.
//!
//! Unknown members are ignored, so an older client works with a newer service.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    pub seq: u64,
    pub from: String,
    pub sent_at: DateTime<Utc>,
    pub body: String,
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Users by emoji.
    #[serde(default)]
    pub reactions: BTreeMap<String, Vec<String>>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A file that belongs to a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attachment {
    pub url: String,
}

/// How far the peer is in the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Receipts {
    /// Received by the peer's devices up to this message.
    #[serde(default)]
    pub peer_delivered_seq: u64,
    /// Read by the peer up to this message.
    #[serde(default)]
    pub peer_read_seq: u64,
}

/// A message of the service. Each type has some of the members.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Frame {
    /// `hello`, `ack`, `error` or the type of an event.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which client message it answers.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Position in the event stream.
    pub cursor: Option<String>,
    /// Heartbeat interval in seconds, in `hello`.
    pub heartbeat_s: Option<u32>,
    /// The conversation of an event.
    pub peer: Option<String>,
    /// The message that was sent or changed.
    pub message: Option<Message>,
    /// In an event about a conversation.
    #[serde(flatten)]
    pub receipts: Receipts,
    /// In the answer to a receipt.
    pub conversation: Option<Receipts>,
    /// In an error.
    pub problem: Option<Problem>,
}

/// A problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Explanation for people.
    pub detail: String,
}

impl Problem {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..)
    }
}

/// A page of the conversation.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Page {
    /// Newest first.
    pub history: Vec<Message>,
    /// Newest first; at most the newest 500.
    pub unread: Vec<Message>,
    pub unread_count: usize,
    /// `seq` of the newest message.
    pub last_seq: u64,
    pub peer_read_seq: u64,
    /// After which message the next page starts; `None` on the last one.
    pub next_after: Option<u64>,
}

/// The command `send`; the idempotency key is also its `ref`.
pub fn send(key: &str, to: &str, body: &str) -> Value {
    json!({"type": "send", "ref": key, "idempotency_key": key, "to": to, "body": body})
}

/// The command `delivered` or `read`; its name is also its `ref`.
pub fn receipt(kind: &str, peer: &str, seq: u64) -> Value {
    json!({"type": kind, "ref": kind, "peer": peer, "seq": seq})
}
