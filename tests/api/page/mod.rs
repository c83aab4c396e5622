//! The messenger page at `/`.

mod messenger;
mod serving;
