//! The other side of a conversation: a user or a room.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::user::path_segment;
use super::{Pair, UserId};

/// What the name of a room begins with. No user id does.
pub(super) const ROOM: &str = "room:";

/// The name of a room as the peer of a conversation: `room:` and the id of the room, which has the form of a
/// user id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(String);

impl RoomName {
    /// The name of the room with an id; `None` if no room can have it.
    pub fn of_id(id: &str) -> Option<Self> {
        UserId::is_valid(id).then(|| Self([ROOM, id].concat()))
    }

    /// Reads a name. `None` if it is none.
    pub fn parse(name: &str) -> Option<Self> {
        name.strip_prefix(ROOM).and_then(Self::of_id)
    }

    /// The name, for example `room:general`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id without the prefix, for example `general`.
    pub fn id(&self) -> &str {
        &self.0[ROOM.len()..]
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The other side of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Peer {
    User(UserId),
    Room(RoomName),
}

impl Peer {
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(user) => user.as_str(),
            Self::Room(room) => room.as_str(),
        }
    }

    /// The name as a path segment, in which only `|` must be encoded (RFC 3986 section 3.3).
    pub fn path_segment(&self) -> Cow<'_, str> {
        path_segment(self.as_str())
    }

    /// The name of the conversation of a user with this peer: that of the pair, or of the room.
    pub fn conversation_of(&self, user: &UserId) -> String {
        match self {
            Self::User(peer) => Pair::of(user, peer).as_str().to_owned(),
            Self::Room(room) => room.as_str().to_owned(),
        }
    }

    /// The user, unless it is a room.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Room(_) => None,
        }
    }

    /// The room, unless it is a user.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::User(_) => None,
            Self::Room(room) => Some(room),
        }
    }
}

impl TryFrom<String> for Peer {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.starts_with(ROOM) {
            let room = RoomName::parse(&name).map(Self::Room);
            room.ok_or(
                "a room is `room:` and 1 to 255 characters of A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + ; = : @ |, \
                 which are not . or .., and do not begin with room:",
            )
        } else {
            UserId::try_from(name).map(Self::User)
        }
    }
}

impl From<Peer> for String {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::User(user) => user.as_str().to_owned(),
            Peer::Room(room) => room.0,
        }
    }
}

impl From<UserId> for Peer {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

/// Compares with a user, who is no room.
impl PartialEq<UserId> for Peer {
    fn eq(&self, user: &UserId) -> bool {
        self.user() == Some(user)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialSchema for Peer {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "The other side of a conversation: the id of a user, or `room:` and the id of a room, which \
                 has the form of a user id.",
            ))
            .min_length(Some(1))
            .max_length(Some(260))
            .pattern(Some(
                "^(room:)?(?!room:)(?!\\.{1,2}$)[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}$",
            ))
            .examples(["alice", "room:general"]);
        text.into()
    }
}

impl ToSchema for Peer {}

/// The participants of a conversation: the acting user, and a different user or a room.
#[derive(Clone, Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Participants {
    /// The acting user.
    #[param(example = "bob")]
    user: UserId,
    /// The other user, or `room:` and the id of a room.
    #[param(example = "alice")]
    peer: Peer,
}

impl Participants {
    /// Refuses a user as its own peer.
    pub fn new(user: UserId, peer: Peer) -> Result<Self, &'static str> {
        if peer == user {
            return Err("`peer` must differ from `user`.");
        }
        Ok(Self { user, peer })
    }

    pub fn user(&self) -> &UserId {
        &self.user
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}
