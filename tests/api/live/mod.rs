//! Live delivery: WebSocket, server-sent events, polling, presence, resuming.

mod abandoned;
mod client_replica;
mod events;
mod handshake;
mod polling;
mod presence;
mod presence_expiry;
mod queue;
mod redis_failures;
mod restarts;
mod resume;
mod resume_edges;
mod resume_large_inbox;
mod session;
mod session_commands;
mod session_watches;
mod slow_clients;
mod sse;
mod tickets;
mod typing;
mod websocket;
mod websocket_closing;
mod websocket_frames;
