//! Command-line clients of a running service: `duologue chat`, `duologue import` and `duologue listen`.

pub mod chat;
pub mod client;
pub mod import;
pub mod listen;
