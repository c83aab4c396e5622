//! Members of rooms.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::message::rfc3339_millis;
use super::room::stored_words;
use super::{Limit, Seq, UserId};

/// What a user may do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomRole {
    /// Reads and writes.
    Member,
    /// Also changes the room and its members, and deletes messages of others.
    Admin,
    /// Nothing. A banned user is not a member and cannot join.
    Banned,
}

stored_words! {
    RoomRole { Member "member", Admin "admin", Banned "banned" }
}

/// The membership of the caller in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoomMembership {
    /// What the caller may do.
    pub role: RoomRole,
    /// The `seq` up to which the caller has read.
    pub read_seq: Seq,
    /// When the caller joined (RFC 3339).
    #[serde(serialize_with = "rfc3339_millis")]
    pub joined_at: DateTime<Utc>,
}

impl RoomMembership {
    /// Reads what the store keeps of a member, see `lua/lib/room.lua`: role, read seq and time of joining in
    /// milliseconds since 1970.
    pub fn parse(role: &str, read: &str, joined_ms: &str) -> Option<Self> {
        let read = read.parse::<u64>().ok()?;
        Some(Self {
            role: RoomRole::parse(role)?,
            read_seq: Seq::try_from(read).ok()?,
            joined_at: DateTime::from_timestamp_millis(joined_ms.parse().ok()?)?,
        })
    }

    /// The member of whom it is.
    pub fn of(self, user: UserId) -> RoomMember {
        RoomMember {
            user,
            role: self.role,
            read_seq: self.read_seq,
            joined_at: self.joined_at,
        }
    }
}

/// A member of a room, or a banned user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoomMember {
    /// The user.
    pub user: UserId,
    /// What the user may do.
    pub role: RoomRole,
    /// The `seq` up to which the user has read.
    pub read_seq: Seq,
    /// When the user joined or was banned (RFC 3339).
    #[serde(serialize_with = "rfc3339_millis")]
    pub joined_at: DateTime<Utc>,
}

/// The query of `GET /rooms/{room}/members`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    /// The `next_after` of the previous page: only users whose ids follow this one.
    #[param(nullable = false, example = "alice")]
    pub after: Option<UserId>,
    /// The maximum number of members.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

impl MembersQuery {
    /// The maximum number of members.
    pub fn limit(&self) -> u16 {
        self.limit.get()
    }
}

/// A page of the members of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MemberPage {
    /// The members in the order of their ids. Admins and backends also see banned users.
    pub members: Vec<RoomMember>,
    /// The `after` of the next page; null on the last page.
    #[schema(required = true)]
    pub next_after: Option<UserId>,
}

/// What to make a user in a room: the body of `PUT /rooms/{room}/members/{user}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberInput {
    /// The role. Without it a user becomes a member, and a member keeps its role. Roles other than `member` are
    /// given by admins and backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub role: Option<RoomRole>,
}
