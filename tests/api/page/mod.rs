//! The messenger page at `/`.

mod client;
mod messenger;
mod serving;
