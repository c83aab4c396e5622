//! The command-line tools beside the server: `duologue chat` and `duologue import`.

pub mod chat;
pub mod client;
pub mod import;
