//! Notifications of the process to a live connection.

use std::sync::Arc;

use super::{CloseReason, RawEvent, RawRoomEvent};

/// A notification to a live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// An event of the user was published.
    Event(Arc<RawEvent>),
    /// An event of a room that the connection watches was published.
    RoomEvent(Arc<RawRoomEvent>),
    /// Events may have been missed.
    Gap,
    /// A heartbeat is due.
    Heartbeat,
    /// The connection must close.
    Close(CloseReason),
}
