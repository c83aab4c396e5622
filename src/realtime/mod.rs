//! Live delivery without sockets: who is connected, what waits for each connection, and what a
//! connection does next.
//!
//! Redis delivers an event over the process's one pub/sub connection. The [`Hub`] puts it into the
//! [`Queue`] of each of the user's connections, which it finds in the [`Registry`]. The adapter of
//! the transport in [`crate::http`] takes it out of the queue, passes it to the connection's
//! [`Session`], and writes what the session answers. A session that detects a gap reads the journal
//! instead. Adapters therefore only read and write, and tests drive a session with plain inputs.
//!
//! A connection can also watch rooms. The events of a room have one subscription per process, however many watch it,
//! and go to the queues of its watchers; a session follows each of its rooms as it follows the user's stream.
//!
//! Deliberately absent: sockets, actix, Redis commands; a timer or a task per connection; a buffer
//! for events that arrive while a session reads the journal, since the journal contains them.

mod feed_watch;
mod follower;
mod hub;
mod queue;
mod registry;
mod session;
mod session_io;
mod watchers;
mod watches;

pub use feed_watch::{FeedWaiter, FeedWatch};
pub use hub::Hub;
pub use queue::Queue;
pub use registry::{ConnectionGuard, Limits, PresenceChange, Registry};
pub use session::Session;
pub use session_io::{CommandResult, Input, Outgoing, Output};
