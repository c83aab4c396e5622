//! The command line.

mod chat;
