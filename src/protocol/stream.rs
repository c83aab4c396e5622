//! A user's stream as the store keeps and publishes it: events as JSON text, and positions.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Cursor, Event};
use crate::error::{Code, Error};
use crate::model::{UnreadTotals, expired};

/// An event as JSON. Connections read only the position of an event that the store wrote, and pass it on
/// byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    json: String,
    cursor: Option<Cursor>,
    prev: Option<Cursor>,
}

/// The members that contain the position of an event.
#[derive(Deserialize)]
struct Position {
    cursor: Option<Cursor>,
    prev: Option<Cursor>,
}

impl RawEvent {
    /// Reads an event as the store publishes and keeps it.
    pub fn parse(json: String) -> Result<Self, Error> {
        let Position { cursor, prev } = serde_json::from_str(&json)
            .map_err(|e| Error::new(Code::Internal, format!("An event is malformed: {e}.")))?;
        Ok(Self::new(json, cursor, prev))
    }

    /// An event whose position was read already.
    pub(super) fn new(json: String, cursor: Option<Cursor>, prev: Option<Cursor>) -> Self {
        Self { json, cursor, prev }
    }

    /// The event as clients see it at a time: a message that has expired is replaced by its tombstone.
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> Self {
        // `message` is the last member, and no earlier value contains a quote.
        const MESSAGE: &str = r#","message":"#;
        let Some((event, message)) = self.json.split_once(MESSAGE) else {
            return self;
        };
        let message = message.strip_suffix('}').unwrap_or(message);
        match expired(message, now) {
            Some(tombstone) => Self {
                json: [event, MESSAGE, &tombstone, "}"].concat(),
                ..self
            },
            None => self,
        }
    }

    pub fn json(&self) -> &str {
        &self.json
    }

    /// The position directly after this event; `None` if the event is not kept.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The position directly before this event.
    pub fn prev(&self) -> Option<Cursor> {
        self.prev
    }

    /// The JSON of an event that is not kept, with the cursor of the last event that is kept. Thus a
    /// client can resume from every event.
    pub fn json_with_cursor(&self, last: Cursor) -> String {
        let mut event = serde_json::from_str(&self.json).unwrap_or(Event::Unknown);
        match &mut event {
            Event::Typing { cursor, .. } | Event::PresenceChanged { cursor, .. } => {
                *cursor = Some(last);
                event.to_json()
            }
            _ => self.json.clone(),
        }
    }
}

/// A part of a stream, oldest event first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEventPage {
    pub events: Vec<RawEvent>,
    /// The position after this page.
    pub next: Cursor,
    /// Whether more events follow. They may also follow a page without events.
    pub more: bool,
}

impl RawEventPage {
    /// Whether the cursor was not of this stream: the only event is a `reset`.
    pub fn is_reset(&self) -> bool {
        let first = self.events.first();
        first.is_some_and(|event| event.json.starts_with(r#"{"type":"reset""#))
    }

    /// The answer to a poll. The events are JSON already, so they are pasted in; [`EventPage`] is what a
    /// client reads.
    pub fn to_json(&self) -> String {
        let events: Vec<_> = self.events.iter().map(RawEvent::json).collect();
        format!(
            r#"{{"events":[{}],"next_cursor":"{}"}}"#,
            events.join(","),
            self.next
        )
    }
}

/// The events after a cursor, oldest first.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events. `typing` and `presence.changed` are never among them.
    pub events: Vec<Event>,
    /// The `cursor` of the next request. If it differs from that of this request, more events may follow,
    /// even if there are none here.
    pub next_cursor: Cursor,
}

/// The current end of a user's stream, and the unread totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The position directly after the last event.
    pub cursor: Cursor,
    /// The unread totals of the user.
    pub totals: UnreadTotals,
}
