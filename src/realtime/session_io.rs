//! Inputs and outputs of a [`Session`](super::Session).

use std::sync::Arc;

use crate::error::Error;
use crate::model::RoomName;
use crate::protocol::{
    CloseReason, Command, Cursor, Notification, RawEvent, RawEventPage, RawRoomEvent, Reference,
    RoomEventPage,
};

/// An input of a session.
#[derive(Debug)]
pub enum Input {
    /// The connection's queue has a notification.
    Notification(Notification),
    /// The result of [`Output::Read`] or [`Output::ReadLater`].
    Page(Result<RawEventPage, Error>),
    /// The result of [`Output::ReadRoom`] or [`Output::ReadRoomLater`]: the room, and the cursor after which it
    /// was read.
    RoomPage(RoomName, Cursor, Result<RoomEventPage, Error>),
    /// The client sent a text message.
    Text(String),
    /// The client sent a ping or a pong.
    Activity,
    /// The result of [`Output::Execute`].
    Executed(Option<Reference>, Result<CommandResult, Error>),
    /// The result of [`Output::Watch`].
    Watched(Option<Reference>, RoomName, Result<RoomEventPage, Error>),
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    Sent {
        /// The message as JSON.
        message: String,
        /// Whether an earlier command with the same key sent it.
        replayed: bool,
    },
    /// A receipt was stored. The state of the conversation, as JSON.
    Marked(String),
    /// The connection watches a room, after this cursor.
    Watching(Cursor),
    /// The command has no result.
    Done,
    /// The session has a fresh token, which expires at this time in seconds since 1970.
    Renewed(Option<i64>),
}

/// An output of a session: something to do.
#[derive(Debug)]
pub enum Output {
    /// Send this to the client.
    Send(Outgoing),
    /// Read the events after this cursor.
    Read(Cursor),
    /// Read the events after this cursor after a pause, because the store failed.
    ReadLater(Cursor),
    /// Receive the events of a room, and read those after a cursor; without one, only its end. Read no further
    /// message of the client until it is done.
    Watch(Option<Reference>, RoomName, Option<Cursor>),
    /// Receive the events of a room no more.
    Unwatch(RoomName),
    /// Read the events of a room after this cursor.
    ReadRoom(RoomName, Cursor),
    /// Read the events of a room after this cursor after a pause, because the store failed.
    ReadRoomLater(RoomName, Cursor),
    /// Execute a command, and read no further message of the client until it is done.
    Execute(Option<Reference>, Command),
    /// Notify the session when the token expires, at this time in seconds since 1970.
    ExpireAt(Option<i64>),
}

/// What is sent to a client.
#[derive(Debug)]
pub enum Outgoing {
    /// An event, byte for byte.
    Event(Arc<RawEvent>),
    /// An event of a room, byte for byte.
    RoomEvent(Arc<RawRoomEvent>),
    /// The connection does not watch a room any more. The HTTP layer makes the problem document.
    Unwatched(RoomName, Error),
    /// Any other message of the service.
    Message {
        json: String,
        /// The cursor from which an event stream resumes after it, if it changes.
        cursor: Option<Cursor>,
    },
    /// A command was refused. The HTTP layer makes the problem document.
    Refusal(Option<Reference>, Error),
    /// A heartbeat.
    Ping,
    /// The end of the connection.
    Close(CloseReason),
}

impl From<Outgoing> for Output {
    fn from(outgoing: Outgoing) -> Self {
        Output::Send(outgoing)
    }
}
