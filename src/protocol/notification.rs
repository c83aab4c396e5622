//! What the process tells a live connection.

use std::sync::Arc;

use super::{CloseReason, RawEvent};

/// What a connection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// An event of the user was published.
    Event(Arc<RawEvent>),
    /// Events may have been missed.
    Gap,
    /// A heartbeat is due.
    Heartbeat,
    /// The connection is to close.
    Close(CloseReason),
}
