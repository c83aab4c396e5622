//! The events of a user's stream. `docs/live.md` says what a client does with each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Cursor, examples};
use crate::model::{Message, Peer, Presence, Seq, UnreadTotals, UserId};

/// An event of a user's stream. Later versions may add types: a client ignores an event whose `type` it does
/// not know, apart from its `cursor`.
// The store writes the events that it keeps, and connections pass those on as bytes (`RawEvent`).
// This type writes the events that are not kept, reads all of them, and declares their schemas.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
pub enum Event {
    /// The peer sent a message, or the user did on another device.
    #[serde(rename = "message.created")]
    #[schema(title = "MessageCreated", example = json!(examples::message_event("message.created", examples::message())))]
    MessageCreated(Box<MessageEvent>),
    /// A message was edited, or its reactions changed.
    #[serde(rename = "message.updated")]
    #[schema(title = "MessageUpdated", example = json!(examples::message_event("message.updated", examples::changed(examples::message()))))]
    MessageUpdated(Box<MessageEvent>),
    /// A message was deleted; `message` is its tombstone.
    #[serde(rename = "message.deleted")]
    #[schema(title = "MessageDeleted", example = json!(examples::message_event("message.deleted", examples::deleted(examples::message()))))]
    MessageDeleted(Box<MessageEvent>),
    /// The user or the peer has read up to a message.
    #[serde(rename = "conversation.read")]
    #[schema(title = "ConversationRead", example = json!(examples::conversation_event("conversation.read")))]
    ConversationRead(ConversationEvent),
    /// A device of the user or of the peer has received up to a message.
    #[serde(rename = "conversation.delivered")]
    #[schema(title = "ConversationDelivered", example = json!(examples::conversation_event("conversation.delivered")))]
    ConversationDelivered(ConversationEvent),
    /// Anything else about a conversation changed. When resuming from before the journal, this one
    /// event replaces those of all changes of the conversation.
    #[serde(rename = "conversation.changed")]
    #[schema(title = "ConversationChanged", example = json!(examples::conversation_event("conversation.changed")))]
    ConversationChanged(ConversationEvent),
    /// A user became a member of the room that is the peer; `user` is the user of the stream on its own devices.
    #[serde(rename = "room.joined")]
    #[schema(title = "RoomJoined", example = json!(examples::membership_event("room.joined")))]
    RoomJoined(MembershipEvent),
    /// A member left the room that is the peer, was removed or banned, or the room was deleted. If `user` is the
    /// user of the stream, no more events of the room follow, and it is no longer in the inbox.
    #[serde(rename = "room.left")]
    #[schema(title = "RoomLeft", example = json!(examples::membership_event("room.left")))]
    RoomLeft(MembershipEvent),
    /// The cursor is not of this stream. The client reads its inbox again.
    #[serde(rename = "reset")]
    #[schema(title = "Reset", example = json!({
        "type": "reset", "cursor": "1768564800000000-1768564800123456", "total_unread_count": 3,
        "unread_conversations": 2, "muted_unread_count": 0
    }))]
    Reset {
        /// The current end of the stream.
        cursor: Cursor,
        /// The unread totals of the user.
        #[serde(flatten)]
        totals: UnreadTotals,
    },
    /// A peer went online or offline. Not kept: resuming does not repeat it.
    #[serde(rename = "presence.changed")]
    #[schema(title = "PresenceChanged", example = json!({
        "type": "presence.changed", "cursor": "1768564800000000-1768564800123456", "peer": "bob",
        "online": true, "last_seen": null
    }))]
    PresenceChanged {
        /// The cursor of the last event that is kept.
        // Published without one; each connection sets its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(required = true, nullable = false)]
        cursor: Option<Cursor>,
        /// The peer.
        peer: UserId,
        /// Whether the peer is online.
        online: bool,
        /// When the peer was last online (RFC 3339); null while it is online.
        #[schema(required = true, format = DateTime)]
        last_seen: Option<String>,
    },
    /// The peer is typing, for the next few seconds. Not kept: resuming does not repeat it.
    #[serde(rename = "typing")]
    #[schema(title = "Typing", example = json!({
        "type": "typing", "cursor": "1768564800000000-1768564800123456", "peer": "bob"
    }))]
    Typing {
        /// The cursor of the last event that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(required = true, nullable = false)]
        cursor: Option<Cursor>,
        /// The peer.
        peer: UserId,
    },
    /// An event of a type that this version does not know. Clients ignore it.
    #[serde(other)]
    Unknown,
}

/// A conversation as the user sees it after an event. All counts are totals, not differences.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationEvent {
    /// The position in the stream directly after this event.
    pub cursor: Cursor,
    /// The `cursor` of the event before this one.
    pub prev: Cursor,
    /// The other user of the conversation, or a room.
    pub peer: Peer,
    /// Number of messages of the peer that the user has not read.
    pub unread_count: u64,
    /// The seq of the newest message.
    pub last_seq: Seq,
    /// The last message that the user has read; 0 if none.
    pub read_seq: Seq,
    /// The last message that the peer has read; 0 if none.
    pub peer_read_seq: Seq,
    /// The last message that a device of the peer has received; 0 if none.
    pub peer_delivered_seq: Seq,
    /// The unread totals of the user.
    #[serde(flatten)]
    pub totals: UnreadTotals,
}

/// An event about a member of a room.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MembershipEvent {
    /// The conversation, whose peer is the room.
    #[serde(flatten)]
    pub conversation: ConversationEvent,
    /// Who joined or left.
    pub user: UserId,
}

/// An event about one message of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MessageEvent {
    /// The conversation.
    #[serde(flatten)]
    pub conversation: ConversationEvent,
    /// The message as it is now.
    pub message: Message,
}

impl Event {
    /// The event that a peer is typing, in the form that is published: without a cursor.
    pub const fn typing(peer: UserId) -> Self {
        Self::Typing { cursor: None, peer }
    }

    /// The event that a peer went online or offline, in the form that is published: without a cursor.
    pub fn presence_changed(presence: &Presence) -> Self {
        let presence = presence.clone();
        Self::PresenceChanged {
            cursor: None,
            peer: presence.user,
            online: presence.online,
            last_seen: presence.last_seen,
        }
    }

    /// The JSON that is published and sent.
    pub fn to_json(&self) -> String {
        // Strings, numbers and objects with string keys: always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The event after which a client resumes.
    pub fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::MessageCreated(event)
            | Self::MessageUpdated(event)
            | Self::MessageDeleted(event) => Some(event.conversation.cursor),
            Self::ConversationRead(event)
            | Self::ConversationDelivered(event)
            | Self::ConversationChanged(event) => Some(event.cursor),
            Self::RoomJoined(event) | Self::RoomLeft(event) => Some(event.conversation.cursor),
            Self::Reset { cursor, .. } => Some(*cursor),
            Self::PresenceChanged { cursor, .. } | Self::Typing { cursor, .. } => *cursor,
            Self::Unknown => None,
        }
    }
}
