//! Settings of rooms.

use clap::{Args, ValueEnum};

/// Who creates rooms, and how many members they have.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rooms")]
pub struct Rooms {
    /// Who may create rooms
    #[arg(
        long,
        env = "DUOLOGUE_ROOMS",
        value_name = "WHO",
        default_value = "users"
    )]
    pub rooms: RoomCreators,

    /// Maximum number of members of a room (1 to 1000); a message costs Redis about 8 us per member
    #[arg(long, env = "DUOLOGUE_ROOM_MEMBERS", value_name = "NUMBER", default_value = "256", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub room_members: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoomCreators {
    /// Every user, who becomes the first admin, and every backend.
    Users,
    /// Backends only.
    Backends,
}
