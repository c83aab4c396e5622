//! Live delivery without sockets: who is connected, what waits for them, and what a connection does
//! next.
//!
//! An event reaches a device so: the store's one listening connection hears it and gives it to the
//! [`Hub`], which puts it into the `Queue` of every connection of the user; the
//! connection's door in [`crate::http`] takes it out, asks its [`Session`] what to do with it, and
//! writes what that answers. A session that finds a gap reads the journal instead. So the doors
//! (WebSocket, event stream) only read and write, and a session is tested by playing it inputs.
//!
//! Deliberately absent: sockets, actix, Redis; a timer or a task for each connection; a buffer for
//! what comes while a session reads the journal, since the journal has it.

mod hub;
mod queue;
mod registry;
mod session;

pub use hub::{Hub, Limits};
pub use queue::Queue;
pub use registry::{Change, ConnectionGuard};
pub use session::{CommandResult, Input, Output, ServerMessage, Session};
