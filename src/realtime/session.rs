//! A live connection as a state machine: notifications, pages of events and the client's messages
//! go in; what to send and what to do comes out. It has no sockets, no clock and no tasks, so one
//! type serves WebSockets and event streams, and tests play inputs into it.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::DateTime;

use super::follower::{Follower, Step};
use super::session_io::{CommandResult, Input, Outgoing, Output};
use super::watches::Watches;
use crate::error::{Code, Error};
use crate::model::{RoomName, UserId, rfc3339};
use crate::protocol::{
    Ack, ClientMessage, CloseReason, Command, Cursor, Notification, RawEvent, RawEventPage,
    Reference, RoomEventPage, ServerMessage, StreamState,
};

/// Number of refused messages within a minute after which the connection closes.
const MAX_REFUSALS: u8 = 20;

/// The state of a connection.
#[derive(Debug)]
pub struct Session {
    /// The position in the stream of the user.
    follower: Follower,
    /// The rooms that the connection watches.
    watches: Watches,
    /// Whether the client answers heartbeats. A client of an event stream cannot.
    two_way: bool,
    /// Whether the client has sent nothing since the last heartbeat.
    silent: bool,
    /// Whether a command is being executed. Meanwhile the client is not read.
    executing: bool,
    /// When the token expires, in seconds since 1970.
    expires_at: Option<i64>,
    refusals: Refusals,
}

/// Messages of the client that were refused and not charged.
#[derive(Debug, Default)]
struct Refusals {
    /// The beginning of the minute in which they are counted, in seconds since 1970.
    since: i64,
    count: u8,
}

impl Session {
    /// Opens a session that sends `hello`, and then events: those after `resume`, or from now on. The token
    /// expires at `expires_at`, in seconds since 1970.
    pub fn open(
        user: &UserId,
        state: StreamState,
        resume: Option<Cursor>,
        heartbeat_s: u8,
        expires_at: Option<i64>,
        out: &mut VecDeque<Output>,
    ) -> Self {
        // The client's own cursor, not the newest: if the connection breaks before the first event,
        // the client has missed nothing.
        let cursor = resume.unwrap_or(state.cursor);
        let hello = ServerMessage::Hello {
            user: user.clone(),
            cursor,
            totals: state.totals,
            heartbeat_s,
            token_expires_at: expires_at
                .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
                .map(rfc3339),
        };
        let hello = Outgoing::Message {
            json: hello.to_json(),
            cursor: Some(cursor),
        };
        out.push_back(hello.into());
        let mut session = Self {
            follower: Follower::new(cursor),
            watches: Watches::default(),
            two_way: true,
            silent: false,
            executing: false,
            expires_at,
            refusals: Refusals::default(),
        };
        if resume.is_some() {
            session.follower.read();
            session.read(out);
        }
        session
    }

    /// The session of a client that cannot answer heartbeats.
    #[must_use]
    pub fn one_way(mut self) -> Self {
        self.two_way = false;
        self
    }

    /// Handles an input at a time in seconds since 1970.
    pub fn handle(&mut self, input: Input, now: i64, out: &mut VecDeque<Output>) {
        match input {
            Input::Notification(Notification::Event(event)) => self.handle_event(event, out),
            Input::Notification(Notification::RoomEvent(event)) => {
                self.watches.receive(&event, out);
            }
            Input::Notification(Notification::Gap) => {
                if self.follower.note_gap() {
                    self.read(out);
                }
                self.watches.note_gap(out);
            }
            Input::Notification(Notification::Heartbeat) => self.handle_heartbeat(now, out),
            Input::Notification(Notification::Close(reason)) => {
                out.push_back(Outgoing::Close(reason).into());
            }
            Input::Page(Ok(page)) => self.handle_page(page, out),
            Input::Page(Err(_)) => out.push_back(Output::ReadLater(self.follower.cursor())),
            Input::RoomPage(room, after, page) => self.watches.handle_page(room, after, page, out),
            Input::Text(text) => self.handle_text(&text, now, out),
            Input::Activity => self.silent = false,
            Input::Executed(reference, result) => self.handle_result(reference, result, now, out),
            Input::Watched(reference, room, result) => {
                self.handle_watched(reference, room, result, now, out);
            }
        }
    }

    fn handle_event(&mut self, event: Arc<RawEvent>, out: &mut VecDeque<Output>) {
        let Some(cursor) = event.cursor() else {
            if !self.follower.is_reading() {
                send(event.json_with_cursor(self.follower.cursor()), out);
            }
            return;
        };
        match self.follower.receive(cursor, event.prev()) {
            Step::Send => out.push_back(Outgoing::Event(event).into()),
            Step::Skip => (),
            Step::Read => self.read(out),
        }
    }

    fn read(&self, out: &mut VecDeque<Output>) {
        out.push_back(Output::Read(self.follower.cursor()));
    }

    fn handle_page(&mut self, page: RawEventPage, out: &mut VecDeque<Output>) {
        for event in page.events {
            out.push_back(Outgoing::Event(Arc::new(event)).into());
        }
        if self.follower.finish_page(page.next, page.more) {
            self.read(out);
        }
    }

    fn handle_heartbeat(&mut self, now: i64, out: &mut VecDeque<Output>) {
        let outgoing = if self.expires_at.is_some_and(|end| end <= now) {
            Outgoing::Close(CloseReason::TokenExpired)
        } else if self.silent && !self.executing {
            Outgoing::Close(CloseReason::Unresponsive)
        } else {
            self.silent = self.two_way;
            Outgoing::Ping
        };
        out.push_back(outgoing.into());
    }

    fn handle_text(&mut self, text: &str, now: i64, out: &mut VecDeque<Output>) {
        self.silent = false;
        let (reference, command) = match ClientMessage::parse(text) {
            Ok(message) => (message.reference, message.command),
            Err((reference, error)) => return self.refuse(reference, error, now, out),
        };
        match command {
            Command::Ping {} => send(Ack::json(reference.as_ref()), out),
            Command::Watch { room, after } => match self.watches.begin(room.name(), after) {
                Ok(()) => {
                    self.executing = true;
                    out.push_back(Output::Watch(reference, room.name().clone(), after));
                }
                Err(error) => self.refuse(reference, error, now, out),
            },
            Command::Unwatch { room } => {
                self.watches.end(room.name());
                out.push_back(Output::Unwatch(room.name().clone()));
                acknowledge(reference.as_ref(), CommandResult::Done, out);
            }
            command => {
                self.executing = true;
                out.push_back(Output::Execute(reference, command));
            }
        }
    }

    fn handle_result(
        &mut self,
        reference: Option<Reference>,
        result: Result<CommandResult, Error>,
        now: i64,
        out: &mut VecDeque<Output>,
    ) {
        (self.executing, self.silent) = (false, false);
        match result {
            Ok(result) => {
                if let CommandResult::Renewed(expires_at) = result {
                    self.expires_at = expires_at;
                    out.push_back(Output::ExpireAt(expires_at));
                }
                acknowledge(reference.as_ref(), result, out);
            }
            Err(error) => self.refuse(reference, error, now, out),
        }
    }

    fn handle_watched(
        &mut self,
        reference: Option<Reference>,
        room: RoomName,
        result: Result<RoomEventPage, Error>,
        now: i64,
        out: &mut VecDeque<Output>,
    ) {
        (self.executing, self.silent) = (false, false);
        match result {
            Ok(page) => self.watches.open(&room, page, out, |cursor, out| {
                acknowledge(reference.as_ref(), CommandResult::Watching(cursor), out);
            }),
            Err(error) => {
                self.watches.end(&room);
                out.push_back(Output::Unwatch(room));
                self.refuse(reference, error, now, out);
            }
        }
    }

    /// Refuses a message. Closes the connection after too many refusals that were not charged to a rate limit.
    fn refuse(
        &mut self,
        reference: Option<Reference>,
        error: Error,
        now: i64,
        out: &mut VecDeque<Output>,
    ) {
        let is_charged = !matches!(
            error.code,
            Code::InvalidRequest
                | Code::MalformedJson
                | Code::Unauthenticated
                | Code::Forbidden
                | Code::TooManyRooms
        );
        out.push_back(Outgoing::Refusal(reference, error).into());
        if is_charged {
            return;
        }
        if now - self.refusals.since >= 60 {
            self.refusals = Refusals {
                since: now,
                count: 0,
            };
        }
        self.refusals.count += 1;
        if self.refusals.count == MAX_REFUSALS {
            out.push_back(Outgoing::Close(CloseReason::TooManyRefusals).into());
        }
    }
}

/// Answers a command, if it has a `ref`.
fn acknowledge(reference: Option<&Reference>, result: CommandResult, out: &mut VecDeque<Output>) {
    if reference.is_none() {
        return;
    }
    let json = match result {
        CommandResult::Sent { message, replayed } => {
            Ack::json_with_message(reference, &message, replayed)
        }
        CommandResult::Marked(conversation) => {
            Ack::json_with_conversation(reference, &conversation)
        }
        CommandResult::Watching(cursor) => Ack::json_with_cursor(reference, cursor),
        CommandResult::Done | CommandResult::Renewed(_) => Ack::json(reference),
    };
    send(json, out);
}

fn send(json: String, out: &mut VecDeque<Output>) {
    out.push_back(Outgoing::Message { json, cursor: None }.into());
}
