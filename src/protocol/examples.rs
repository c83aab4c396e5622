//! Examples of messages, for openapi.yaml and asyncapi.yaml. A test reads them.

use serde_json::{Value, json};

/// A message as it was sent.
pub fn message() -> Value {
    json!({
        "seq": 7, "id": "019bc5f0-7c3a-7d52-9b52-0f6a5d1c2e47", "from": "bob", "to": "alice",
        "sent_at": "2026-01-16T12:00:00.123Z", "body": "Lunch?"
    })
}

/// A message as it was sent to a room.
pub fn room_message() -> Value {
    let mut message = message();
    message["to"] = json!("room:general");
    message
}

/// A message with a reaction.
pub fn changed(mut message: Value) -> Value {
    message["reactions"] = json!({"👍": ["alice"]});
    message
}

/// A message that was deleted.
pub fn deleted(mut message: Value) -> Value {
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

/// An event of a room.
pub fn room_event(kind: &str) -> Value {
    json!({
        "type": kind, "room": "general", "cursor": "1768564800000000-1768564800123456",
        "prev": "1768564800000000-1768564800000000"
    })
}

/// An event about a message of a room.
pub fn room_message_event(kind: &str, message: Value) -> Value {
    let mut event = room_event(kind);
    event["message"] = message;
    event
}

/// An event about a member of a room.
pub fn room_member_event(kind: &str) -> Value {
    let mut event = room_event(kind);
    event["user"] = json!("bob");
    event
}

/// The end of a watch.
pub fn unwatched() -> Value {
    json!({"type": "unwatched", "room": "general", "problem": {
        "title": "Not Found", "status": 404,
        "detail": "The room does not exist, or is not visible to this user.",
        "code": "ROOM_NOT_FOUND", "request_id": "019bc5f0-7c3a-7d52-9b52-0f6a5d1c2e47"
    }})
}

/// An event about a member of a room, for another member.
pub fn membership_event(kind: &str) -> Value {
    let mut event = conversation_event(kind);
    event["peer"] = json!("room:general");
    event["peer_read_seq"] = json!(0);
    event["peer_delivered_seq"] = json!(0);
    event["user"] = json!("carol");
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
