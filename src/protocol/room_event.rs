//! The events of a room, as connections that watch it receive them. `docs/live.md` says what a client does with each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Cursor, Problem, examples};
use crate::model::{Message, RoomId, RoomName, UserId};

/// An event of a room that the connection watches. It has a member `room`, which tells it apart from the events of
/// the user and the other messages of the service. Later versions may add types: a client ignores an event whose
/// `type` it does not know, apart from its `cursor`.
// The store writes the events that it keeps, and connections pass those on as bytes (`RawRoomEvent`).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
pub enum RoomEvent {
    /// A message was sent to the room.
    #[serde(rename = "message.created")]
    #[schema(title = "RoomMessageCreated", example = json!(examples::room_message_event("message.created", examples::room_message())))]
    MessageCreated(Box<RoomMessageEvent>),
    /// A message of the room was edited, or its reactions changed.
    #[serde(rename = "message.updated")]
    #[schema(title = "RoomMessageUpdated", example = json!(examples::room_message_event("message.updated", examples::changed(examples::room_message()))))]
    MessageUpdated(Box<RoomMessageEvent>),
    /// A message of the room was deleted; `message` is its tombstone.
    #[serde(rename = "message.deleted")]
    #[schema(title = "RoomMessageDeleted", example = json!(examples::room_message_event("message.deleted", examples::deleted(examples::room_message()))))]
    MessageDeleted(Box<RoomMessageEvent>),
    /// The room or the role of a member changed, or any number of changes of the room that are not told one by
    /// one.
    #[serde(rename = "conversation.changed")]
    #[schema(title = "RoomChanged", example = json!(examples::room_event("conversation.changed")))]
    Changed(RoomChange),
    /// A user became a member of the room.
    #[serde(rename = "room.joined")]
    #[schema(title = "RoomMemberJoined", example = json!(examples::room_member_event("room.joined")))]
    Joined(RoomMemberChange),
    /// A member left the room or was removed from it.
    #[serde(rename = "room.left")]
    #[schema(title = "RoomMemberLeft", example = json!(examples::room_member_event("room.left")))]
    Left(RoomMemberChange),
    /// A member is typing, for the next few seconds. Not kept: resuming does not repeat it.
    #[serde(rename = "typing")]
    #[schema(title = "RoomTyping", example = json!({
        "type": "typing", "room": "general", "cursor": "1768564800000000-1768564800123456", "user": "bob"
    }))]
    Typing {
        /// The room.
        room: RoomId,
        /// The cursor of the last event that is kept.
        // Published without one; each connection sets its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(required = true, nullable = false)]
        cursor: Option<Cursor>,
        /// The member.
        user: UserId,
    },
    /// The connection does not watch the room any more: the room was deleted, or the user may not watch it.
    #[serde(rename = "unwatched")]
    #[schema(title = "RoomUnwatched", example = json!(examples::unwatched()))]
    Unwatched {
        /// The room.
        room: RoomId,
        /// The problem document that the command `watch` would get now.
        problem: Problem,
    },
}

/// A change of a room.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoomChange {
    /// The room.
    pub room: RoomId,
    /// The position in the events of the room directly after this event.
    pub cursor: Cursor,
    /// The `cursor` of the event before this one.
    pub prev: Cursor,
    /// The user whose role changed, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub user: Option<UserId>,
}

/// A change of the members of a room.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoomMemberChange {
    /// The room.
    pub room: RoomId,
    /// The position in the events of the room directly after this event.
    pub cursor: Cursor,
    /// The `cursor` of the event before this one.
    pub prev: Cursor,
    /// The user who joined or left.
    pub user: UserId,
}

/// An event about one message of a room.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoomMessageEvent {
    /// The room.
    pub room: RoomId,
    /// The position in the events of the room directly after this event.
    pub cursor: Cursor,
    /// The `cursor` of the event before this one.
    pub prev: Cursor,
    /// The message as it is now.
    pub message: Message,
}

impl RoomEvent {
    /// The event that a member is typing, in the form that is published: without a cursor.
    pub fn typing(room: RoomName, user: UserId) -> Self {
        Self::Typing {
            room: room.into(),
            cursor: None,
            user,
        }
    }

    /// The event that a connection does not watch a room any more.
    pub fn unwatched(room: RoomName, problem: Problem) -> Self {
        Self::Unwatched {
            room: room.into(),
            problem,
        }
    }

    /// The JSON that is published and sent.
    pub fn to_json(&self) -> String {
        // Strings, numbers and objects with string keys: always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}
