//! A live session without a socket: inputs, and outputs in a form to compare.

use std::collections::VecDeque;
use std::sync::Arc;

use duologue::error::Code;
use duologue::model::{UnreadTotals, UserId};
use duologue::protocol::{
    CloseReason, Command, Cursor, Notification, RawEvent, RawEventPage, StreamState,
};
use duologue::realtime::{Input, Outgoing, Output, Session};
use serde_json::{Value, json};

/// A time at which nothing expires.
pub const NOON: i64 = 1_768_564_800;

/// The outputs of a session, with events as numbers.
#[derive(Debug, PartialEq)]
pub enum Action {
    Hello(Value),
    Event(u64),
    Frame(Value),
    Refusal(Code),
    Read(u64),
    ReadLater(u64),
    SendMessage(String),
    OtherCommand,
    RoomEvent(String, u64),
    Watch(String, Option<u64>),
    Unwatch(String),
    Unwatched(String, Code),
    ReadRoom(String, u64),
    ReadRoomLater(String, u64),
    Ping,
    ExpireAt(Option<i64>),
    Close(CloseReason),
}

pub struct TestSession {
    pub session: Session,
    pub out: VecDeque<Output>,
}

pub fn user(id: &str) -> UserId {
    UserId::try_from(id.to_owned()).unwrap()
}

/// A journaled event after another.
pub fn event(prev: u64, offset: u64) -> RawEvent {
    let text = json!({"type": "message.created", "cursor": format!("7-{offset}"), "prev": format!("7-{prev}")});
    RawEvent::parse(text.to_string()).unwrap()
}

pub fn published(prev: u64, offset: u64) -> Input {
    Input::Notification(Notification::Event(Arc::new(event(prev, offset))))
}

pub fn page(events: &[(u64, u64)], more: bool) -> Input {
    let next = events.last().map_or(100, |(_, offset)| *offset);
    let events = events.iter().map(|(prev, offset)| event(*prev, *offset));
    Input::Page(Ok(RawEventPage {
        events: events.collect(),
        next: Cursor::new(7, next),
        more,
    }))
}

pub fn text(frame: &Value) -> Input {
    Input::Text(frame.to_string())
}

impl TestSession {
    /// A session of alice, whose stream is at 100, resumed after an offset.
    pub fn resumed(resume: Option<u64>) -> Self {
        Self::open(resume, None)
    }

    /// The same, with a token that expires.
    pub fn open(resume: Option<u64>, expires_at: Option<i64>) -> Self {
        let state = StreamState {
            cursor: Cursor::new(7, 100),
            totals: UnreadTotals {
                total_unread_count: 3,
                unread_conversations: 2,
                muted_unread_count: 1,
            },
        };
        let mut out = VecDeque::new();
        let resume = resume.map(|offset| Cursor::new(7, offset));
        let session = Session::open(&user("alice"), state, resume, 25, expires_at, &mut out);
        Self { session, out }
    }

    /// A session that has sent `hello` and is up to date.
    pub fn live() -> Self {
        let mut session = Self::resumed(None);
        assert!(matches!(session.actions()[..], [Action::Hello(_)]));
        session
    }

    pub fn handle(&mut self, input: Input) -> Vec<Action> {
        self.handle_at(input, NOON)
    }

    pub fn handle_at(&mut self, input: Input, now: i64) -> Vec<Action> {
        self.session.handle(input, now, &mut self.out);
        self.actions()
    }

    pub fn actions(&mut self) -> Vec<Action> {
        self.out.drain(..).map(action).collect()
    }
}

pub fn action(output: Output) -> Action {
    let number = |cursor: Cursor| cursor.parts()[1].parse().unwrap();
    match output {
        Output::Send(Outgoing::Event(event)) => Action::Event(number(event.cursor().unwrap())),
        Output::Send(Outgoing::Message { json, .. }) => {
            match serde_json::from_str::<Value>(&json).unwrap() {
                hello if hello["type"] == "hello" => Action::Hello(hello),
                said => Action::Frame(said),
            }
        }
        Output::Send(Outgoing::Refusal(_, error)) => Action::Refusal(error.code),
        Output::Send(Outgoing::Ping) => Action::Ping,
        Output::Send(Outgoing::Close(why)) => Action::Close(why),
        Output::Read(place) => Action::Read(number(place)),
        Output::ReadLater(place) => Action::ReadLater(number(place)),
        Output::Send(Outgoing::RoomEvent(event)) => {
            let version = number(event.cursor().unwrap());
            Action::RoomEvent(event.room().id().to_owned(), version)
        }
        Output::Send(Outgoing::Unwatched(room, error)) => {
            Action::Unwatched(room.id().to_owned(), error.code)
        }
        Output::Watch(_, room, after) => Action::Watch(room.id().to_owned(), after.map(number)),
        Output::Unwatch(room) => Action::Unwatch(room.id().to_owned()),
        Output::ReadRoom(room, after) => Action::ReadRoom(room.id().to_owned(), number(after)),
        Output::ReadRoomLater(room, after) => {
            Action::ReadRoomLater(room.id().to_owned(), number(after))
        }
        Output::Execute(_, Command::Send(outgoing)) => {
            let (message, key) = (outgoing.message, outgoing.idempotency_key);
            let key = key.map(|key| key.as_str().to_owned());
            Action::SendMessage(format!("{} {}", message.to, key.unwrap_or_default()))
        }
        Output::Execute(..) => Action::OtherCommand,
        Output::ExpireAt(until) => Action::ExpireAt(until),
    }
}
