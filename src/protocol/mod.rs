//! The protocol of live connections: events, messages of the service and of clients, and close reasons.
//! The service, the terminal client, the tests and the benchmark use these types, and `openapi.yaml`
//! contains their schemas.
//!
//! | module | types |
//! |---|---|
//! | `event` | [`Event`]: a change, as a user's devices receive it |
//! | `stream` | [`RawEvent`], [`RawEventPage`]: events as the bytes that the store keeps and publishes |
//! | `room_event` | [`RoomEvent`]: a change of a room, as those who watch it receive it |
//! | `room_stream` | [`RawRoomEvent`], [`RoomEventPage`]: events of a room as bytes |
//! | `cursor` | [`Cursor`]: a position in a stream |
//! | `server_message` | [`ServerMessage`]: `hello`, `ack`, `error`, `close`, and every event |
//! | `client_message` | [`ClientMessage`], [`Command`]: what a client sends on a WebSocket |
//! | `close` | [`CloseReason`]: close codes and their reasons |
//! | `notification` | [`Notification`]: from the process to a connection |
//! | `examples` | examples of messages, for `openapi.yaml` and `asyncapi.yaml` |
//! | `problem` | [`Problem`]: why a request or a command failed |

mod client_message;
mod close;
mod cursor;
mod event;
mod examples;
mod notification;
mod problem;
mod room_event;
mod room_stream;
mod server_message;
mod stream;

pub use client_message::{
    ClientMessage, Command, OutgoingMessage, ReadReceipt, Receipt, Reference,
};
pub use close::CloseReason;
pub use cursor::Cursor;
pub use event::{ConversationEvent, Event, MembershipEvent, MessageEvent};
pub use notification::Notification;
pub use problem::{Problem, ProblemField};
pub use room_event::{RoomChange, RoomEvent, RoomMemberChange, RoomMessageEvent};
pub use room_stream::{RawRoomEvent, RoomEventPage};
pub use server_message::{Ack, ServerMessage};
pub use stream::{EventPage, RawEvent, RawEventPage, StreamState};
