//! Live connections: WebSocket, event stream and long poll.

pub mod commands;
pub mod driver;
pub mod handshake;
pub mod poll;
pub mod sse;
pub mod websocket;
pub mod ws_frames;
mod ws_messages;
