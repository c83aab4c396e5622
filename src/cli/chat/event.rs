//! Inputs and outputs of the state machine in [`session`](super::session).

use super::ChatError;
use super::status::ChatStatus;
use super::transcript::{HistoryPage, TranscriptLine};
use crate::model::Seq;
use crate::protocol::{ClientMessage, Cursor, Problem, ServerMessage};

/// Input: something that happened.
#[derive(Debug)]
pub enum ClientEvent {
    LineEntered(String),
    /// End of input, Ctrl-C or SIGTERM. The first lets pending requests finish, the second exits
    /// at once.
    Quit,
    /// The first message of each connection is `hello`.
    MessageReceived(Box<ServerMessage>),
    /// A WebSocket ping or pong: the connection is alive.
    Heartbeat,
    /// Answers [`Effect::LoadHistory`].
    HistoryLoaded(HistoryPage),
    /// The connection was lost or could not be established.
    Disconnected {
        /// WebSocket close code, if the service sent one.
        code: Option<u16>,
        reason: String,
    },
    /// The service answered an HTTP request or the WebSocket handshake with an error.
    Rejected(Problem),
    /// One second has passed.
    Tick,
}

/// Output: something to do.
#[derive(Debug)]
pub enum Effect {
    /// Drop the connection, wait for the backoff, and connect.
    Connect {
        /// Resume the event stream after this event.
        cursor: Option<Cursor>,
        /// Consecutive failures; without any there is no backoff.
        failures: u32,
    },
    /// Load the messages after this `seq`, or the newest ones.
    LoadHistory {
        after: Option<Seq>,
    },
    Send(ClientMessage),
    /// Print lines of the conversation.
    Print(Vec<TranscriptLine>),
    /// Print a notice that is not part of the conversation.
    PrintNotice(String),
    ShowStatus(ChatStatus),
    Exit(Result<(), ChatError>),
}
