//! One file for each resource of the HTTP API; each handler bears its operation's name.

pub mod conversations;
pub mod docs;
pub mod import;
pub mod messages;
pub mod page;
pub mod presence;
pub mod probes;
pub mod receipts;
pub mod tickets;
pub mod users;
