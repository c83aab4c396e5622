//! What travels on a live connection: events, messages of the service and of clients, and the
//! reasons a connection closes. The service, the terminal client, the tests and the benchmark use
//! these types, and their schemas stand in `openapi.yaml`.
//!
//! | module | types |
//! |---|---|
//! | `event` | [`Event`]: what happened, as a user's devices learn of it |
//! | `stream` | [`RawEvent`], [`EventPage`]: events as the bytes that the store keeps and publishes |
//! | `cursor` | [`Cursor`]: a place in a stream |
//! | `server_message` | [`ServerMessage`]: `hello`, `ack`, `error`, `close`, and every event |
//! | `client_message` | [`ClientMessage`], [`Command`]: what a client sends on a WebSocket |
//! | `close` | [`CloseReason`]: close codes and their reasons |
//! | `notification` | [`Notification`]: what the process tells a connection |
//! | `problem` | [`Problem`]: why a request or a command failed |
//! | `schema` | how unions of messages are written in `openapi.yaml` |

mod client_message;
mod close;
mod cursor;
mod event;
mod notification;
mod problem;
mod schema;
mod server_message;
mod stream;

pub use client_message::{
    ClientMessage, Command, OutgoingMessage, ReadReceipt, Receipt, Reference,
};
pub use close::CloseReason;
pub use cursor::Cursor;
pub use event::{ConversationEvent, Event, MessageEvent};
pub use notification::Notification;
pub use problem::{Problem, ProblemField};
pub use schema::NameVariants;
pub use server_message::{Ack, ServerMessage};
pub use stream::{EventPage, Events, RawEvent, StreamState};
