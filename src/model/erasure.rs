//! A user who leaves.

use serde::Serialize;
use utoipa::ToSchema;

use super::UserId;

/// What erasing a user did, so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erasure {
    /// The user.
    pub user: UserId,
    /// Conversations that are done, in this call.
    pub conversations: u64,
    /// Messages that became tombstones, in this call.
    pub messages_erased: u64,
    /// Whether everything is done; if not, call again.
    pub done: bool,
}

impl Erasure {
    /// Nothing yet.
    pub fn of(user: UserId) -> Self {
        Self {
            user,
            conversations: 0,
            messages_erased: 0,
            done: false,
        }
    }
}
