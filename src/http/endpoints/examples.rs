//! Examples for openapi.yaml. A test sends the requests.

use serde_json::{Value, json};

/// A request that sends a text.
pub fn new_message() -> Value {
    json!({"from": "alice", "to": "bob", "body": "Lunch at one?"})
}

/// A request that sends an attachment.
pub fn new_message_with_attachment() -> Value {
    json!({
        "from": "alice", "to": "bob", "body": "The menu",
        "attachments": [{"url": "https://files.example.com/menu.jpg", "mime_type": "image/jpeg",
            "name": "menu.jpg", "size": 48213, "width": 1024, "height": 768}],
        "metadata": {"mood": "hungry"}
    })
}

/// A message as it was sent.
pub fn message() -> Value {
    json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
        "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at one?"})
}

/// A message that was edited and reacted to.
pub fn changed_message() -> Value {
    json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
        "sent_at": "2026-01-31T12:00:00.000Z", "body": "Lunch at two?",
        "edited_at": "2026-01-31T12:01:00.000Z", "reactions": {"👍": ["bob"]}})
}

/// A message that was deleted.
pub fn tombstone() -> Value {
    json!({"seq": 1, "id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47", "from": "alice", "to": "bob",
        "sent_at": "2026-01-31T12:00:00.000Z", "body": "", "deleted_at": "2026-01-31T12:02:00.000Z"})
}

/// A conversation in an inbox.
pub fn conversation_state() -> Value {
    json!({"peer": "alice", "last_message": message(), "unread_count": 1, "last_seq": 1,
        "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0, "muted": false,
        "muted_until": null, "blocked": false, "archived": false, "pinned": false, "metadata": null,
        "updated_at": "2026-01-31T12:00:00.000Z"})
}

/// A page of an inbox.
pub fn inbox() -> Value {
    json!({"conversations": [conversation_state()], "total_unread_count": 1,
        "unread_conversations": 1, "muted_unread_count": 0, "next_cursor": null})
}

/// A page of a conversation.
pub fn conversation() -> Value {
    json!({"user": "bob", "peer": "alice", "history": [message()], "unread_count": 1,
        "unread": [message()], "last_seq": 1, "read_seq": 0, "peer_read_seq": 0,
        "peer_delivered_seq": 0, "muted": false, "muted_until": null, "blocked": false, "archived": false,
        "pinned": false, "metadata": null, "next_before": null, "next_after": null})
}

/// The lines of an import.
pub fn import() -> String {
    let message = json!({"from": "alice", "to": "bob", "body": "Lunch at one?",
        "sent_at": "2019-01-31T12:00:00Z"});
    format!("{message}\n")
}

/// The first line of an export.
pub fn export() -> String {
    let conversation = json!({"peer": "alice", "blocked": false, "muted": false, "muted_until": null,
        "archived": false, "pinned": true, "metadata": {"folder": "work"}});
    format!("{}\n", json!({"conversation": conversation}))
}

/// A request that creates a room.
pub fn new_room() -> Value {
    json!({"title": "General", "join": "open", "history": "all"})
}

/// A room.
pub fn room() -> Value {
    json!({"room": "general", "title": "General", "join": "open", "history": "all", "metadata": null,
        "member_count": 2, "last_seq": 1, "created_at": "2026-01-31T12:00:00.000Z",
        "membership": {"role": "admin", "read_seq": 1, "joined_at": "2026-01-31T12:00:00.000Z"}})
}

/// A member of a room.
pub fn room_member() -> Value {
    json!({"user": "alice", "role": "member", "read_seq": 1, "joined_at": "2026-01-31T12:00:00.000Z"})
}

/// The settings of a new subscription.
pub fn new_subscription() -> Value {
    json!({"types": ["message.created", "message.deleted"], "from": "start"})
}

/// A subscription.
pub fn subscription() -> Value {
    json!({"name": "archive", "types": ["message.created", "message.deleted"], "rooms": [], "from": "start",
        "ack_wait_s": 30, "url": null, "paused": false, "state": "open", "created_at": "2026-01-31T11:00:00.000Z",
        "lag": 3, "pending": 1, "lost": 0, "dead": 0, "oldest_at": "2026-01-31T12:00:00.000Z",
        "consumers": [{"name": "default", "pending": 1, "idle_s": 2}]})
}

/// An event of a subscription.
pub fn feed_event() -> Value {
    json!({"id": "17-1769860800000-0", "type": "message.created",
        "timestamp": "2026-01-31T12:00:00.000Z", "attempt": 1,
        "data": {"users": ["alice", "bob"], "by": "alice", "last_seq": 1, "message": message()}})
}

/// Events of a subscription.
pub fn feed_page() -> Value {
    json!({"events": [feed_event()], "lost": 0})
}

/// Events that a webhook did not take.
pub fn dead_letter_page() -> Value {
    json!({"dead_letters": [{"event": feed_event(), "attempts": 8, "status": 500,
        "failed_at": "2026-01-31T12:12:00.000Z"}], "next_cursor": null})
}
