//! Command-line clients of a running service: `duologue chat` and `duologue import`.

pub mod chat;
pub mod client;
pub mod import;
