//! What the service sends on a live connection.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Cursor, Event, Problem, Reference, RoomEvent, examples};
use crate::model::{ConversationState, Message, UnreadTotals, UserId};

/// A message of the service: a text message of a WebSocket, or the `data` of an event stream. A client ignores
/// a message whose `type` it does not know.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message of a connection.
    #[schema(title = "HelloMessage", example = json!({
        "type": "hello", "user": "alice", "cursor": "1768564800000000-1768564800123456",
        "total_unread_count": 3, "unread_conversations": 2, "muted_unread_count": 0, "heartbeat_s": 25,
        "token_expires_at": "2026-01-16T13:00:00.000Z"
    }))]
    Hello {
        /// The user of the stream.
        user: UserId,
        /// The position at which the stream starts: the cursor of the client if it sent one.
        cursor: Cursor,
        /// The unread totals of the user.
        #[serde(flatten)]
        totals: UnreadTotals,
        /// Seconds between two heartbeats of the service.
        heartbeat_s: u8,
        /// When the token of the connection expires (RFC 3339); absent without a token. The connection is
        /// closed then, unless the client sends a new token before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false, format = DateTime)]
        token_expires_at: Option<String>,
    },
    /// A command was executed. WebSocket only.
    #[schema(title = "AckMessage", example = json!({
        "type": "ack", "ref": "1", "replayed": false, "message": {
            "seq": 7, "id": "019bc5f0-7c3a-7d52-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
            "sent_at": "2026-01-16T12:00:00.123Z", "body": "Lunch?"
        }
    }))]
    Ack(Box<Ack>),
    /// A command was refused. WebSocket only.
    #[schema(title = "ErrorMessage", example = json!(examples::error()))]
    Error {
        /// The `ref` of the command; absent if it has none.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        reference: Option<Reference>,
        /// The problem document that the same request gets over HTTP.
        problem: Problem,
    },
    /// The last message of an event stream. A WebSocket has a close frame for it.
    #[schema(title = "CloseMessage", example = json!({"type": "close", "reason": "restart"}))]
    Close {
        /// The reason that a WebSocket's close frame would have: `restart`, `token_expired`,
        /// `slow_consumer` or `replaced`.
        reason: String,
    },
    /// An event of a room that the connection watches. WebSocket only.
    // Before the events of the user, which have the same types but no `room`.
    #[serde(untagged)]
    RoomEvent(RoomEvent),
    /// An event of the user.
    #[serde(untagged)]
    Event(Event),
}

/// The result of an executed command.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Ack {
    /// The `ref` of the command; absent from the answer to a `ping` without one.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reference: Option<Reference>,
    /// The message that was sent; answers `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<Message>,
    /// Whether an earlier command with the same key sent the message; answers `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replayed: Option<bool>,
    /// The conversation after the command; answers `read` and `delivered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub conversation: Option<ConversationState>,
    /// The position in the events of the room at which they start; answers `watch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<Cursor>,
}

impl ServerMessage {
    /// The JSON that is sent.
    pub fn to_json(&self) -> String {
        // Strings, numbers and objects with string keys: always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Ack {
    /// The JSON of an answer without a result.
    pub fn json(reference: Option<&Reference>) -> String {
        Self::json_with(reference, "")
    }

    /// The JSON of the answer to `send`. The message is pasted in as it is stored, which saves
    /// parsing and encoding it.
    pub fn json_with_message(
        reference: Option<&Reference>,
        message: &str,
        replayed: bool,
    ) -> String {
        let members = format!(r#","message":{message},"replayed":{replayed}"#);
        Self::json_with(reference, &members)
    }

    /// The JSON of the answer to `read` and `delivered`. The conversation is JSON that holds a
    /// stored message, and is pasted in for the same reason.
    pub fn json_with_conversation(reference: Option<&Reference>, conversation: &str) -> String {
        Self::json_with(reference, &format!(r#","conversation":{conversation}"#))
    }

    /// The JSON of the answer to `watch`.
    pub fn json_with_cursor(reference: Option<&Reference>, cursor: Cursor) -> String {
        Self::json_with(reference, &format!(r#","cursor":"{cursor}""#))
    }

    fn json_with(reference: Option<&Reference>, members: &str) -> String {
        match reference {
            Some(reference) => format!(r#"{{"type":"ack","ref":{}{members}}}"#, json!(reference)),
            None => format!(r#"{{"type":"ack"{members}}}"#),
        }
    }
}
