//! The events of a room as the store keeps and publishes them.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::{Cursor, RawEvent, RoomEvent};
use crate::error::{Code, Error};
use crate::model::{RoomName, UserId};

/// An event of a room as JSON. Connections read only what they need to decide to whom it is shown, and pass it on
/// byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRoomEvent {
    room: RoomName,
    event: RawEvent,
    /// The user whom it is about.
    user: Option<UserId>,
    /// The seq of the message that it contains; 0 if there is none.
    seq: u64,
    /// Whether users may have lost access to the room.
    may_end_access: bool,
}

/// The members that say where an event is, and whom and what it is about.
#[derive(Deserialize)]
struct Subject<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    cursor: Option<Cursor>,
    prev: Option<Cursor>,
    user: Option<UserId>,
    message: Option<MessagePosition>,
}

/// The member of a message that contains its position.
#[derive(Deserialize)]
struct MessagePosition {
    seq: u64,
}

impl RawRoomEvent {
    /// Reads an event of a room as the store publishes and keeps it.
    pub fn parse(room: &RoomName, json: String) -> Result<Self, Error> {
        let Subject {
            kind,
            cursor,
            prev,
            user,
            message,
        } = serde_json::from_str(&json).map_err(|e| {
            let why = format!("An event of a room is malformed: {e}.");
            Error::new(Code::Internal, why)
        })?;
        Ok(Self {
            room: room.clone(),
            user,
            seq: message.map_or(0, |message| message.seq),
            may_end_access: matches!(kind, "conversation.changed" | "room.left"),
            event: RawEvent::new(json, cursor, prev),
        })
    }

    /// The event as clients see it at a time, see [`RawEvent::at`].
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> Self {
        Self {
            event: self.event.at(now),
            ..self
        }
    }

    pub fn room(&self) -> &RoomName {
        &self.room
    }

    pub fn json(&self) -> &str {
        self.event.json()
    }

    /// The position directly after this event; `None` if the event is not kept.
    pub fn cursor(&self) -> Option<Cursor> {
        self.event.cursor()
    }

    /// The position directly before this event.
    pub fn prev(&self) -> Option<Cursor> {
        self.event.prev()
    }

    /// Whether the event is about a user.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.user.as_ref() == Some(user)
    }

    /// Whether a user may not be allowed to watch the room after this event. An event that is about no user may
    /// concern everyone.
    pub fn may_end_access_of(&self, user: &UserId) -> bool {
        self.may_end_access && self.user.as_ref().is_none_or(|about| about == user)
    }

    /// The JSON of an event that is not kept, with the cursor of the last event that is kept.
    pub fn json_with_cursor(&self, last: Cursor) -> String {
        match serde_json::from_str(self.json()) {
            Ok(RoomEvent::Typing { room, user, .. }) => {
                let cursor = Some(last);
                RoomEvent::Typing { room, cursor, user }.to_json()
            }
            _ => self.json().to_owned(),
        }
    }

    /// The JSON of a `conversation.changed` in place of an event about a message that is hidden from the user;
    /// `None` if the event is shown.
    pub fn without_hidden_message(&self, hidden_up_to: u64) -> Option<String> {
        let is_hidden = (1..=hidden_up_to).contains(&self.seq);
        is_hidden.then(|| {
            let changed = json!({
                "type": "conversation.changed",
                "room": self.room.id(),
                "cursor": self.cursor(),
                "prev": self.prev(),
            });
            changed.to_string()
        })
    }
}

/// A part of the events of a room as a user may see them, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomEventPage {
    /// The user.
    pub viewer: UserId,
    /// Messages up to this seq are not shown to the user.
    pub hidden_up_to: u64,
    pub events: Vec<RawRoomEvent>,
    /// The position after this page.
    pub next: Cursor,
    /// Whether more events follow.
    pub more: bool,
}
