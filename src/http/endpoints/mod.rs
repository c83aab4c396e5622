//! The HTTP API, one file per resource. A handler has the name of its operation.

pub mod conversations;
pub mod docs;
pub mod examples;
pub mod import;
pub mod messages;
pub mod page;
pub mod presence;
pub mod probes;
pub mod receipts;
pub mod rooms;
pub mod settings;
pub mod subscriptions;
pub mod tickets;
pub mod typing;
pub mod users;
