//! The messenger page at `/`.

mod client;
mod client_rooms;
mod messenger;
mod rooms;
mod serving;
