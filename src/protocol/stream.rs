//! A user's stream as the store keeps and publishes it: events as bytes, and places among them.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{Cursor, Event};
use crate::error::{Code, Error};
use crate::model::UnreadTotals;

/// An event as JSON. Of an event that the store wrote, a connection needs to know only its place;
/// the rest is passed on byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    json: String,
    cursor: Option<Cursor>,
    prev: Option<Cursor>,
}

/// The members that tell the place of an event.
#[derive(Deserialize)]
struct Place {
    cursor: Option<Cursor>,
    prev: Option<Cursor>,
}

impl RawEvent {
    /// Takes an event as it was published or kept.
    pub fn parse(json: String) -> Result<Self, Error> {
        let Place { cursor, prev } = serde_json::from_str(&json)
            .map_err(|e| Error::new(Code::Internal, format!("an event is malformed: {e}")))?;
        Ok(Self { json, cursor, prev })
    }

    /// The event as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The place directly after this event; `None` if the event is not kept.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The place directly before this event.
    pub fn prev(&self) -> Option<Cursor> {
        self.prev
    }

    /// The JSON of an event that is not kept, with the cursor of the last event that is. So
    /// everything a client receives has a cursor to resume from.
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
pub struct EventPage {
    /// The events.
    pub events: Vec<RawEvent>,
    /// Whether more events follow.
    pub more: bool,
}

impl EventPage {
    /// Whether the cursor was not of this stream: the only event is a `reset`.
    pub fn is_reset(&self) -> bool {
        let first = self.events.first();
        first.is_some_and(|event| event.json.starts_with(r#"{"type":"reset""#))
    }

    /// The answer to a poll after a cursor. The events are JSON already, so they are pasted in;
    /// [`Events`] is what a client reads.
    pub fn to_json(&self, after: Cursor) -> String {
        let events: Vec<_> = self.events.iter().map(RawEvent::json).collect();
        let last = self.events.last().and_then(RawEvent::cursor);
        format!(
            r#"{{"events":[{}],"next_cursor":"{}"}}"#,
            events.join(","),
            last.unwrap_or(after)
        )
    }
}

/// The events after a cursor, oldest first.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Events {
    /// The events. `typing` and `presence.changed` are never among them.
    pub events: Vec<Event>,
    /// What to pass as `after` in the next request.
    pub next_cursor: Cursor,
}

/// Where the stream of a user is, and the user's badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The place directly after the last event.
    pub cursor: Cursor,
    /// Unread messages and conversations.
    pub totals: UnreadTotals,
}
