//! Examples of messages, for openapi.yaml and asyncapi.yaml. A test reads them.

use serde_json::{Value, json};

/// A message as it was sent.
pub fn message() -> Value {
    json!({
        "seq": 7, "id": "019bc5f0-7c3a-7d52-9b52-0f6a5d1c2e47", "from": "bob", "to": "alice",
        "sent_at": "2026-01-16T12:00:00.123Z", "body": "Lunch?"
    })
}

/// A message with a reaction.
pub fn changed_message() -> Value {
    let mut message = message();
    message["reactions"] = json!({"👍": ["alice"]});
    message
}

/// A message that was deleted.
pub fn tombstone() -> Value {
    let mut message = message();
    message["deleted_at"] = json!("2026-01-16T12:05:00.000Z");
    message["body"] = json!("");
    message
}

/// An event about a conversation.
pub fn conversation_event(kind: &str) -> Value {
    json!({
        "type": kind, "cursor": "1768564800000000-1768564800123456",
        "prev": "1768564800000000-1768564800000000", "peer": "bob", "unread_count": 1, "last_seq": 7,
        "read_seq": 6, "peer_read_seq": 6, "peer_delivered_seq": 6, "total_unread_count": 3,
        "unread_conversations": 2, "muted_unread_count": 0
    })
}

/// An event about a message.
pub fn message_event(kind: &str, message: Value) -> Value {
    let mut event = conversation_event(kind);
    event["message"] = message;
    event
}

/// A command that was refused.
pub fn error() -> Value {
    json!({"type": "error", "ref": "1", "problem": {
        "title": "Bad Request", "status": 400,
        "detail": "A field, a parameter or a header is missing, unknown or invalid; `errors` names it.",
        "code": "INVALID_REQUEST", "request_id": "019bc5f0-7c3a-7d52-9b52-0f6a5d1c2e47",
        "errors": [{"pointer": "/to", "detail": "missing field `to`"}]
    }})
}
