//! Settings of live delivery.

use std::num::NonZeroU32;

use clap::{ArgAction, Args};

/// How many may listen, and what a connection is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Live")]
pub struct Live {
    /// Connections that listen, of each user to this process
    #[arg(
        long,
        env = "DUOLOGUE_CONNECTIONS_PER_USER",
        value_name = "NUMBER",
        default_value = "20"
    )]
    pub connections_per_user: NonZeroU32,

    /// Connections that listen, of all users to this process
    #[arg(
        long,
        env = "DUOLOGUE_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "25000"
    )]
    pub connections: NonZeroU32,

    /// Seconds between two signs of life of a connection that listens
    #[arg(long, env = "DUOLOGUE_HEARTBEAT", value_name = "SECONDS", default_value = "25", value_parser = clap::value_parser!(u8).range(1..=120))]
    pub heartbeat: u8,

    /// Whether a device that acknowledges a message sets the delivered receipt that its sender sees
    #[arg(long, env = "DUOLOGUE_DELIVERED", value_name = "true|false", default_value = "true", action = ArgAction::Set)]
    pub delivered: bool,
}
