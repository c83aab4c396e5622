//! What one connection does next, whatever it is made of.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use crate::error::Error;
use crate::model::UserId;
use crate::protocol::{
    CloseReason, Command, Cursor, Event, EventPage, Frame, Notification, Ref, StreamState,
};

/// What happens to a session.
#[derive(Debug)]
pub enum Input {
    /// Its queue had something.
    Notification(Notification),
    /// What it asked for with [`Output::Read`] was read; or could not be.
    Page(Result<EventPage, Error>),
    /// The client said something.
    Text(String),
    /// The client gave a sign of life.
    Sign,
    /// What it asked for with [`Output::Do`] was done, or not.
    Executed(Option<Ref>, Result<CommandResult, Error>),
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// The message, and whether it was sent before.
    Sent {
        /// As JSON.
        message: String,
        /// Whether it was sent before, with the same key.
        replayed: bool,
    },
    /// The state of the conversation, as JSON.
    Marked(String),
    /// Nothing to tell.
    Told,
    /// The session may go on until then, in seconds since 1970.
    Until(Option<i64>),
}

/// What a session wants done.
#[derive(Debug)]
pub enum Output {
    /// Tell the client something.
    ServerMessage(ServerMessage),
    /// Read what is behind this place.
    Read(Cursor),
    /// The same, a little later: the store failed.
    ReadLater(Cursor),
    /// Do something for the client, and nothing else that it asks for meanwhile.
    Do(Option<Ref>, Command),
    /// Look at the end of the token then.
    Until(Option<i64>),
}

/// What a client is told.
#[derive(Debug)]
pub enum ServerMessage {
    /// An event.
    Event(Arc<Event>),
    /// Something else; `at` is the place to resume from, if it is one.
    Say {
        /// As JSON.
        text: String,
        /// Where the client is in the stream.
        at: Option<Cursor>,
    },
    /// Why what it asked for was not done.
    Refuse(Option<Ref>, Error),
    /// To give a sign of life; itself one.
    Ping,
    /// That this is the end.
    Leave(CloseReason),
}

impl From<ServerMessage> for Output {
    fn from(tell: ServerMessage) -> Self {
        Output::ServerMessage(tell)
    }
}

/// The state of a connection.
#[derive(Debug)]
pub struct Session {
    /// Behind the last event that the client was told.
    place: Cursor,
    /// That the journal is being read. Meanwhile nothing that is heard is passed on: if it is kept,
    /// the journal has it.
    reading: Option<Meanwhile>,
    /// Whether the client is to give signs of life; one with an event stream cannot.
    two_way: bool,
    /// Whether the last heartbeat brought none.
    silent: bool,
    /// Whether something is being done for the client, who is not heard meanwhile.
    doing: bool,
    /// When the token ends, in seconds since 1970.
    until: Option<i64>,
}

/// What was heard since reading began.
#[derive(Debug, Default)]
struct Meanwhile {
    /// The last event that is kept.
    heard: Option<Cursor>,
    /// Whether anything may have been missed.
    gap: bool,
}

impl Session {
    /// A session that tells what happens from now on, or from where the client was.
    pub fn open(
        user: &UserId,
        state: StreamState,
        resume: Option<Cursor>,
        heartbeat_s: u8,
        out: &mut VecDeque<Output>,
    ) -> Self {
        let place = resume.unwrap_or(state.cursor);
        // The client's own place, not the newest: should it break off now, it has missed nothing.
        let hello = json!({
            "type": "hello", "user": user, "cursor": place,
            "total_unread_count": state.totals.total_unread_count,
            "unread_conversations": state.totals.unread_conversations,
            "heartbeat_s": heartbeat_s,
        });
        out.push_back(
            ServerMessage::Say {
                text: hello.to_string(),
                at: Some(place),
            }
            .into(),
        );
        let mut session = Self {
            place,
            reading: None,
            two_way: true,
            silent: false,
            doing: false,
            until: None,
        };
        if resume.is_some() {
            session.read(out);
        }
        session
    }

    /// The same of a client that only listens.
    #[must_use]
    pub fn one_way(mut self) -> Self {
        self.two_way = false;
        self
    }

    /// The same, as long as the token is good.
    #[must_use]
    pub fn until(mut self, until: Option<i64>) -> Self {
        self.until = until;
        self
    }

    /// Takes what happened, at a time in seconds since 1970, and says what is to be done.
    pub fn take(&mut self, input: Input, now: i64, out: &mut VecDeque<Output>) {
        match input {
            Input::Notification(Notification::Event(event)) => self.event(event, out),
            Input::Notification(Notification::Gap) => match &mut self.reading {
                Some(meanwhile) => meanwhile.gap = true,
                None => self.read(out),
            },
            Input::Notification(Notification::Heartbeat) => self.heartbeat(now, out),
            Input::Notification(Notification::Leave(why)) => {
                out.push_back(ServerMessage::Leave(why).into());
            }
            Input::Page(Ok(page)) => self.page(page, out),
            Input::Page(Err(_)) => out.push_back(Output::ReadLater(self.place)),
            Input::Text(text) => self.text(&text, out),
            Input::Sign => self.silent = false,
            Input::Executed(re, done) => self.done(re, done, out),
        }
    }

    fn event(&mut self, event: Arc<Event>, out: &mut VecDeque<Output>) {
        if let Some(meanwhile) = &mut self.reading {
            meanwhile.heard = event.cursor().or(meanwhile.heard);
            return;
        }
        match event.cursor() {
            None => say(event.told_at(self.place), out),
            // Told before.
            Some(cursor) if self.place.reaches(cursor) => (),
            Some(cursor) if event.prev() == Some(self.place) => {
                self.place = cursor;
                out.push_back(ServerMessage::Event(event).into());
            }
            Some(_) => self.read(out),
        }
    }

    fn read(&mut self, out: &mut VecDeque<Output>) {
        self.reading = Some(Meanwhile::default());
        out.push_back(Output::Read(self.place));
    }

    fn page(&mut self, page: EventPage, out: &mut VecDeque<Output>) {
        for event in page.events {
            self.place = event.cursor().unwrap_or(self.place);
            out.push_back(ServerMessage::Event(Arc::new(event)).into());
        }
        if page.more {
            out.push_back(Output::Read(self.place));
            return;
        }
        let Meanwhile { heard, gap } = self.reading.take().unwrap_or_default();
        if gap || heard.is_some_and(|heard| !self.place.reaches(heard)) {
            self.read(out);
        }
    }

    fn heartbeat(&mut self, now: i64, out: &mut VecDeque<Output>) {
        if self.until.is_some_and(|until| until <= now) {
            out.push_back(ServerMessage::Leave(CloseReason::TokenExpired).into());
        } else if self.silent && !self.doing {
            out.push_back(ServerMessage::Leave(CloseReason::Silent).into());
        } else {
            self.silent = self.two_way;
            out.push_back(ServerMessage::Ping.into());
        }
    }

    fn text(&mut self, text: &str, out: &mut VecDeque<Output>) {
        self.silent = false;
        match Frame::parse(text) {
            Ok(Frame {
                re,
                command: Command::Ping,
            }) => acknowledge(re, "", out),
            Ok(Frame { re, command }) => {
                self.doing = true;
                out.push_back(Output::Do(re, command));
            }
            Err((re, error)) => out.push_back(ServerMessage::Refuse(re, error).into()),
        }
    }

    fn done(
        &mut self,
        re: Option<Ref>,
        done: Result<CommandResult, Error>,
        out: &mut VecDeque<Output>,
    ) {
        (self.doing, self.silent) = (false, false);
        match done {
            Ok(CommandResult::Sent { message, replayed }) => {
                let members = format!(r#","message":{message},"replayed":{replayed}"#);
                acknowledge(re, &members, out);
            }
            Ok(CommandResult::Marked(state)) => {
                acknowledge(re, &format!(r#","conversation":{state}"#), out);
            }
            Ok(CommandResult::Told) => acknowledge(re, "", out),
            Ok(CommandResult::Until(until)) => {
                self.until = until;
                out.push_back(Output::Until(until));
                acknowledge(re, "", out);
            }
            Err(error) => out.push_back(ServerMessage::Refuse(re, error).into()),
        }
    }
}

fn acknowledge(re: Option<Ref>, members: &str, out: &mut VecDeque<Output>) {
    let Some(re) = re else { return };
    let re = json!(re);
    say(format!(r#"{{"type":"ack","ref":{re}{members}}}"#), out);
}

fn say(text: String, out: &mut VecDeque<Output>) {
    out.push_back(ServerMessage::Say { text, at: None }.into());
}
