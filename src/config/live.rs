//! Settings of live connections.

use std::num::NonZeroU32;

use clap::{ArgAction, Args};

/// Limits of live connections (WebSocket, event stream, waiting poll).
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Live connections")]
pub struct Live {
    /// Maximum number of live connections per user on this process; another one closes the oldest
    #[arg(
        long,
        env = "DUOLOGUE_CONNECTIONS_PER_USER",
        value_name = "NUMBER",
        default_value = "20"
    )]
    pub connections_per_user: NonZeroU32,

    /// Maximum number of live connections on this process
    #[arg(
        long,
        env = "DUOLOGUE_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "25000"
    )]
    pub connections: NonZeroU32,

    /// Interval of WebSocket pings and SSE keep-alive comments, in seconds (1 to 120)
    #[arg(long, env = "DUOLOGUE_HEARTBEAT", value_name = "SECONDS", default_value = "25", value_parser = clap::value_parser!(u8).range(1..=120))]
    pub heartbeat: u8,

    /// Record delivered receipts; if false, they are accepted and ignored
    #[arg(long, env = "DUOLOGUE_DELIVERED", value_name = "true|false", default_value = "true", action = ArgAction::Set)]
    pub delivered: bool,
}
