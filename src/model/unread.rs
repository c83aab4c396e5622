//! Unread totals, of one or several users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::UserId;

/// The unread totals of a user over all conversations, except those with blocked peers. For badges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreadTotals {
    /// Number of unread messages.
    pub total_unread_count: u64,
    /// Number of conversations with unread messages.
    pub unread_conversations: u64,
    /// Number of unread messages in muted conversations, included in `total_unread_count`.
    pub muted_unread_count: u64,
}

impl UnreadTotals {
    /// The totals as a JSON object.
    pub fn to_json(self) -> String {
        format!("{{{}}}", self.members())
    }

    /// The members of the JSON object.
    pub(super) fn members(self) -> String {
        let Self {
            total_unread_count,
            unread_conversations,
            muted_unread_count,
        } = self;
        format!(
            "\"total_unread_count\":{total_unread_count},\"unread_conversations\":{unread_conversations},\"muted_unread_count\":{muted_unread_count}"
        )
    }
}

/// The unread totals of one of several users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserUnread {
    /// The user.
    pub user: UserId,
    /// The unread totals of the user.
    #[serde(flatten)]
    #[schema(inline)]
    pub totals: UnreadTotals,
}

/// The unread totals of several users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnreadOfUsers {
    /// Each requested user, in the order of the request.
    pub users: Vec<UserUnread>,
}

/// The outcome of marking all conversations of a user as read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MarkedRead {
    /// Number of conversations that this call marked as read.
    pub conversations: u64,
    /// Whether all conversations are marked. If not, call again.
    pub done: bool,
}
