//! User ids, and pairs of users.

use std::borrow::{Borrow, Cow};
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The rules of the ids of users and of rooms.
pub(super) const INVALID_ID: &str = "must have 1 to 255 characters of A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + ; = : @ |, \
    not be . or .., and not begin with room:";

/// The id of a user in the host application: 1 to 255 characters of
/// `A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + ; = : @ |`, case-sensitive; not `.` or `..`, and not beginning
/// with `room:`.
///
/// The characters cover the ids of identity providers: RFC 3986's unreserved characters and
/// sub-delimiters, `:`, `@` and `|`. None needs escaping in JSON. The comma is excluded, because it
/// separates ids in keys and in lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 255,
    pattern = "^(?!room:)(?!\\.{1,2}$)[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}$"
)]
pub struct UserId(String);

impl UserId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a path segment, in which only `|` must be encoded (RFC 3986 section 3.3).
    pub fn path_segment(&self) -> Cow<'_, str> {
        path_segment(&self.0)
    }

    /// Whether a text is a valid id.
    pub fn is_valid(id: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:@|".contains(&b);
        let is_reserved = matches!(id, "." | "..") || id.starts_with("room:");
        (1..=255).contains(&id.len()) && id.bytes().all(allowed) && !is_reserved
    }
}

impl TryFrom<String> for UserId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        if Self::is_valid(&id) {
            Ok(Self(id))
        } else {
            Err(INVALID_ID)
        }
    }
}

/// An id or the name of a room as a path segment.
pub(super) fn path_segment(name: &str) -> Cow<'_, str> {
    if name.contains('|') {
        name.replace('|', "%7C").into()
    } else {
        name.into()
    }
}

/// Allows looking up a text in a map by user.
impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two users of a conversation, sorted bytewise and joined by a comma, which no id contains. The
/// pair is the same in either order of the users.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair(String);

impl Pair {
    /// The pair of two users, in either order.
    pub fn of(one: &UserId, other: &UserId) -> Self {
        let (first, second) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        Self([first.as_str(), ",", second.as_str()].concat())
    }

    /// The two users, in the order of the pair.
    pub fn users(&self) -> (&str, &str) {
        Self::split(&self.0).unwrap_or_default()
    }

    /// Splits a stored pair.
    pub fn split(pair: &str) -> Option<(&str, &str)> {
        pair.split_once(',')
    }

    /// Splits and validates a stored pair.
    pub fn parse(pair: &str) -> Option<(UserId, UserId)> {
        let (first, second) = Self::split(pair)?;
        let user = |id: &str| UserId::try_from(id.to_owned()).ok();
        Some((user(first)?, user(second)?))
    }

    /// The pair as it appears in keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
