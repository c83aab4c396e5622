//! Changes of rooms.

use crate::model::{RoomName, UserId};
use crate::rate::RateLimitRequest;

/// The user and the room of a request, and the rate limit to charge.
#[derive(Clone, Copy)]
pub struct RoomRequest<'a> {
    /// The acting user.
    pub user: &'a UserId,
    pub room: &'a RoomName,
    /// The rate limit to charge, if any.
    pub charge: Option<&'a RateLimitRequest>,
}
