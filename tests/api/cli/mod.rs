//! The command line.

mod chat;
mod import;
mod listen;
