//! The erasure of a user.

use serde::Serialize;
use utoipa::ToSchema;

use super::UserId;

/// The progress of erasing a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erasure {
    /// The user.
    pub user: UserId,
    /// Number of conversations that this call finished.
    pub conversations: u64,
    /// Number of messages that this call replaced by tombstones.
    pub messages_erased: u64,
    /// Whether the user is erased completely. If not, call again.
    pub done: bool,
}

impl Erasure {
    /// An erasure before its first step.
    pub fn of(user: UserId) -> Self {
        Self {
            user,
            conversations: 0,
            messages_erased: 0,
            done: false,
        }
    }
}
