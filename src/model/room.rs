//! Rooms and their settings.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::message::rfc3339_millis;
use super::user::{INVALID_ID, path_segment};
use super::{Metadata, RoomMembership, RoomName, Seq, UserId, limits};
use crate::error::{Code, Error};

/// The id of a room, of the same form as a user id. As the peer of a conversation the room is called `room:`
/// and this id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 255,
    pattern = "^(?!room:)(?!\\.{1,2}$)[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}$",
    example = "general"
)]
pub struct RoomId(RoomName);

impl RoomId {
    /// The name of the room as the peer of a conversation.
    pub fn name(&self) -> &RoomName {
        &self.0
    }

    /// The id as a path segment.
    pub fn path_segment(&self) -> Cow<'_, str> {
        path_segment(self.0.id())
    }
}

impl TryFrom<String> for RoomId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        RoomName::of_id(&id).map(Self).ok_or(INVALID_ID)
    }
}

impl From<RoomName> for RoomId {
    fn from(name: RoomName) -> Self {
        Self(name)
    }
}

impl From<RoomId> for String {
    fn from(id: RoomId) -> Self {
        id.0.id().to_owned()
    }
}

/// Who may become a member of a room by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinRule {
    /// Everybody, except those who are banned. Who is not a member may read and watch the room.
    Open,
    /// Nobody: admins and backends add members. For everybody else the room does not exist.
    #[default]
    Invited,
}

/// Which messages a member sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomHistory {
    /// All messages.
    #[default]
    All,
    /// The messages that were sent after the member joined.
    Joined,
}

/// Declares the words by which the store knows the variants of an enum.
macro_rules! stored_words {
    ($($name:ident { $($variant:ident $word:literal),* })*) => {
        $(impl $name {
            /// The word in the store.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads a word of the store.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        })*
    };
}
pub(super) use stored_words;

stored_words! {
    JoinRule { Open "open", Invited "invited" }
    RoomHistory { All "all", Joined "joined" }
}

/// The title of a room: 1 to 128 characters (Unicode scalar values), none of which is a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 128,
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$",
    example = "General"
)]
pub struct RoomTitle(String);

impl RoomTitle {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomTitle {
    type Error = &'static str;

    fn try_from(title: String) -> Result<Self, Self::Error> {
        let length = title.chars().count();
        if (1..=limits::ROOM_TITLE).contains(&length) && !title.chars().any(char::is_control) {
            Ok(Self(title))
        } else {
            Err("must have 1 to 128 characters, none of which is a control character")
        }
    }
}

/// The settings of a room, and users to add to it: the body of `PUT /rooms/{room}`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomInput {
    /// The title. Without it the room has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    title: Option<RoomTitle>,
    /// Who may join. `invited` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    join: Option<JoinRule>,
    /// Which messages members see. `all` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    history: Option<RoomHistory>,
    /// Any data that the application keeps with the room. Without it the room has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    metadata: Option<Metadata>,
    /// Users to add as members; at most 100 together with `admins`. Members keep their role, and banned users
    /// stay banned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_items = 100)]
    members: Option<Vec<UserId>>,
    /// Users to add as admins, or to make admins. For backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_items = 100)]
    admins: Option<Vec<UserId>>,
}

impl RoomInput {
    /// Refuses more users than one request may add.
    pub fn checked(self) -> Result<Self, Error> {
        let (members, admins) = (self.members(), self.admins());
        if members.len() + admins.len() <= limits::ROOM_USERS {
            return Ok(self);
        }
        let pointer = if members.len() > limits::ROOM_USERS || admins.is_empty() {
            "/members"
        } else {
            "/admins"
        };
        let why = "`members` and `admins` must have at most 100 users together";
        Err(Error::field(Code::InvalidRequest, pointer, why))
    }

    pub fn join(&self) -> JoinRule {
        self.join.unwrap_or_default()
    }

    pub fn history(&self) -> RoomHistory {
        self.history.unwrap_or_default()
    }

    pub fn members(&self) -> &[UserId] {
        self.members.as_deref().unwrap_or_default()
    }

    pub fn admins(&self) -> &[UserId] {
        self.admins.as_deref().unwrap_or_default()
    }

    /// Title and metadata as they are stored.
    pub fn profile(&self) -> RoomProfile {
        RoomProfile {
            title: self.title.clone(),
            metadata: self.metadata.clone(),
        }
    }
}

/// What a room says about itself: a JSON object in the store, which scripts do not interpret.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RoomProfile {
    #[serde(default)]
    pub title: Option<RoomTitle>,
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

impl RoomProfile {
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|e| {
            let why = format!("The profile of a room is malformed: {e}.");
            Error::new(Code::Internal, why)
        })
    }

    pub fn to_json(&self) -> String {
        // An object with string keys is always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A room.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RoomState {
    /// The id of the room.
    #[serde(rename = "room")]
    #[schema(value_type = RoomId)]
    pub id: RoomId,
    /// The title; null if there is none.
    #[schema(required = true)]
    pub title: Option<RoomTitle>,
    /// Who may join.
    pub join: JoinRule,
    /// Which messages members see.
    pub history: RoomHistory,
    /// Any data that the application keeps with the room; null if there is none.
    #[schema(required = true)]
    pub metadata: Option<Metadata>,
    /// Number of members, admins included.
    pub member_count: u32,
    /// The `seq` of the newest message; 0 if there is none.
    pub last_seq: Seq,
    /// When the room was created (RFC 3339).
    #[serde(serialize_with = "rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    /// The membership of the caller; null if the caller is not a member.
    #[schema(required = true)]
    pub membership: Option<RoomMembership>,
}

/// What a conversation with a room says of the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomSummary {
    /// The title; null if there is none.
    #[schema(required = true)]
    pub title: Option<RoomTitle>,
    /// Number of members, admins included.
    pub member_count: u32,
}

impl RoomSummary {
    /// Reads a stored profile, which is empty if the room is being deleted.
    pub fn parse(profile: &str, member_count: u32) -> Result<Self, Error> {
        let title = if profile.is_empty() {
            None
        } else {
            RoomProfile::parse(profile)?.title
        };
        Ok(Self {
            title,
            member_count,
        })
    }

    pub(super) fn to_json(&self) -> String {
        // An object with string keys is always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The query of `GET /rooms/{room}`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoomQuery {
    /// The user as whom to read. Optional for users, who read as themselves; without it a backend sees every room
    /// and no membership.
    #[param(nullable = false, example = "alice")]
    pub user: Option<UserId>,
}
