//! What the service says, as far as it concerns one conversation, and what is said to it.
//!
//! What is not known here is passed over, so that an older client goes on with a newer service.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// Its place in the conversation.
    pub seq: u64,
    /// The sender.
    pub from: String,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// The text.
    pub body: String,
    /// The files that go with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Who reacted with which emoji.
    #[serde(default)]
    pub reactions: BTreeMap<String, Vec<String>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attachment {
    /// Where it is.
    pub url: String,
}

/// How far the peer is: what ticks are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Receipts {
    /// Up to where its devices have received.
    #[serde(default)]
    pub peer_delivered_seq: u64,
    /// Up to where it has read.
    #[serde(default)]
    pub peer_read_seq: u64,
}

/// A frame of any type: each has some of the members.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Frame {
    /// What it is: `hello`, `ack`, `error` or the type of an event.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of what was said it answers.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Behind what comes next in the stream.
    pub cursor: Option<String>,
    /// How often the service gives a sign of life, in seconds.
    pub heartbeat_s: Option<u32>,
    /// Which conversation it is about.
    pub peer: Option<String>,
    /// The message that was sent or changed.
    pub message: Option<Message>,
    /// How far the peer is, in an event.
    #[serde(flatten)]
    pub receipts: Receipts,
    /// The same in an answer.
    pub conversation: Option<Receipts>,
    /// Why something was refused.
    pub problem: Option<Problem>,
}

/// A problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// What HTTP answers.
    pub status: u16,
    /// What happened, for a person.
    pub detail: String,
}

impl Problem {
    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..)
    }
}

/// A page of the conversation.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Page {
    /// The page, newest first.
    pub history: Vec<Message>,
    /// What was not read yet, newest first.
    pub unread: Vec<Message>,
    /// How much was not read yet.
    pub unread_count: usize,
    /// The seq of the newest message.
    pub last_seq: u64,
    /// Up to where the peer has read.
    pub peer_read_seq: u64,
    /// Behind which to read on.
    pub next_after: Option<u64>,
}

/// A message to the peer; its key is also its `ref`.
pub fn send(key: &str, to: &str, body: &str) -> Value {
    json!({"type": "send", "ref": key, "idempotency_key": key, "to": to, "body": body})
}

/// A receipt up to a message: `delivered` or `read`, which is also its `ref`.
pub fn receipt(kind: &str, peer: &str, seq: u64) -> Value {
    json!({"type": kind, "ref": kind, "peer": peer, "seq": seq})
}
