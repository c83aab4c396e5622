//! What happens to a conversation, and what is to be done because of it.

use serde_json::Value;

use super::ChatError;
use super::frame::{Frame, Page, Problem};
use super::render::DeliveryStatus;
use super::transcript::Line;

/// What happens.
#[derive(Debug)]
pub enum ClientEvent {
    /// A line was typed.
    Typed(String),
    /// Nothing more will be typed. The second time, nothing more is to be waited for either.
    Finished,
    /// The service said something; first of all, on each connection, hello.
    Said(Box<Frame>),
    /// The service gave a sign of life.
    Sign,
    /// The page that was asked for.
    Page(Page),
    /// The connection broke, or none came about: the close code, if there was one, and why.
    Lost(Option<u16>, String),
    /// The service answered with a problem.
    Refused(Problem),
    /// A second has passed.
    Second,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Let go of the connection, pause, and connect behind the cursor.
    Connect {
        /// Where the stream goes on.
        cursor: Option<String>,
        /// How many attempts failed; without any there is no pause.
        failures: u32,
    },
    /// Read a page: the newest, or what comes after a message.
    Read(Option<u64>),
    /// Say something to the service.
    Say(Value),
    /// Show something of the conversation.
    Show(Vec<Line>),
    /// Tell something else.
    Note(String),
    /// Show how things stand.
    Status(Status),
    /// It is over.
    End(Result<(), ChatError>),
}

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether there is a connection.
    pub online: bool,
    /// How many lines wait to be stored.
    pub waiting: usize,
    /// One's last message, and how far it is.
    pub tick: Option<(u64, DeliveryStatus)>,
    /// Whether the peer is typing.
    pub typing: bool,
}
