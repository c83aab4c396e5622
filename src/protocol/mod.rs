//! What travels on a live connection, used by the service, the terminal client and the tests.

mod close;
mod event;
mod frame;
mod notification;

pub use close::CloseReason;
pub use event::{Cursor, Event, EventPage, EventQuery, StreamState, Wait};
pub use frame::{Command, Frame, Receipt, Ref};
pub use notification::Notification;
