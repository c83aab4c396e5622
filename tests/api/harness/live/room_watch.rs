//! Rooms that a session without a socket watches.

use std::sync::Arc;

use duologue::model::RoomName;
use duologue::protocol::{Cursor, Notification, RawRoomEvent, RoomEventPage};
use duologue::realtime::Input;
use serde_json::{Value, json};

use super::test_session::{Action, TestSession, text, user};

pub fn room(id: &str) -> RoomName {
    RoomName::of_id(id).unwrap()
}

/// The cursor of a version of any room.
pub fn cursor(version: u64) -> Cursor {
    Cursor::new(9, version)
}

/// An event of a room after another, with more members.
pub fn room_event(id: &str, kind: &str, prev: u64, version: u64, more: &Value) -> RawRoomEvent {
    let mut event =
        json!({"type": kind, "room": id, "cursor": cursor(version), "prev": cursor(prev)});
    let more = more.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(more);
    RawRoomEvent::parse(&room(id), event.to_string()).unwrap()
}

pub fn published_in(event: RawRoomEvent) -> Input {
    Input::Notification(Notification::RoomEvent(Arc::new(event)))
}

/// A new message of a room; its seq is its version.
pub fn message_in(id: &str, prev: u64, version: u64) -> RawRoomEvent {
    let more = json!({"message": {"seq": version}});
    room_event(id, "message.created", prev, version, &more)
}

pub fn said_in(id: &str, prev: u64, version: u64) -> Input {
    published_in(message_in(id, prev, version))
}

/// A page of messages for alice, up to a version.
pub fn room_page(id: &str, messages: &[(u64, u64)], next: u64, more: bool) -> RoomEventPage {
    let events = messages.iter();
    let events = events.map(|(prev, version)| message_in(id, *prev, *version));
    RoomEventPage {
        viewer: user("alice"),
        hidden_up_to: 0,
        events: events.collect(),
        next: cursor(next),
        more,
    }
}

impl TestSession {
    /// Sends the command `watch`.
    pub fn ask_to_watch(&mut self, id: &str, after: Option<u64>) -> Vec<Action> {
        let mut command = json!({"type": "watch", "ref": "w", "room": id});
        if let Some(after) = after {
            command["after"] = json!(cursor(after));
        }
        self.handle(text(&command))
    }

    /// Watches a room whose events end at 100.
    pub fn watch(&mut self, id: &str) {
        let asked = self.ask_to_watch(id, None);
        assert_eq!(asked, [Action::Watch(id.to_owned(), None)]);
        let page = room_page(id, &[], 100, false);
        let opened = self.handle(watched(id, page));
        assert_eq!(opened, [acknowledged(100)]);
    }
}

/// The answer of the store to `watch`.
pub fn watched(id: &str, page: RoomEventPage) -> Input {
    let reference = serde_json::from_value(json!("w")).unwrap();
    Input::Watched(Some(reference), room(id), Ok(page))
}

/// The answer of the store to a read after a version.
pub fn read(id: &str, after: u64, page: RoomEventPage) -> Input {
    Input::RoomPage(room(id), cursor(after), Ok(page))
}

/// The `ack` of a `watch`.
pub fn acknowledged(version: u64) -> Action {
    Action::Frame(json!({"type": "ack", "ref": "w", "cursor": cursor(version)}))
}
