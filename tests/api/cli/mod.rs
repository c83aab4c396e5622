//! The command line.

mod chat;
mod import;
