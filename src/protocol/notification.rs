//! What the process tells a live connection.

use std::sync::Arc;

use super::close::CloseReason;
use super::event::Event;

/// What a connection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Something happened.
    Event(Arc<Event>),
    /// Anything may have happened unheard.
    Gap,
    /// A heartbeat is due.
    Heartbeat,
    /// The connection is to end.
    Leave(CloseReason),
}
