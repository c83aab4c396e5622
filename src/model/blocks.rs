//! The peers that a user has blocked.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{UserId, parse_decimal};

/// The query of `GET /users/{user}/blocks`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BlocksQuery {
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>, nullable = false, pattern = "^1?[0-9]{1,19}$")]
    pub cursor: Option<BlocksCursor>,
}

/// A position in a list of blocks. Opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
pub struct BlocksCursor(String);

impl BlocksCursor {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BlocksCursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // A cursor of Redis is a 64-bit number.
        match parse_decimal(&text, 20) {
            Some(_) => Ok(Self(text)),
            None => Err("must be the `next_cursor` of another page"),
        }
    }
}

/// A page of the peers that a user has blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockPage {
    /// The blocked peers, in no particular order.
    pub blocks: Vec<Block>,
    /// The `cursor` of the next page; null on the last page.
    #[schema(required = true, value_type = Option<String>)]
    pub next_cursor: Option<BlocksCursor>,
}

/// A peer that a user has blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Block {
    /// The peer.
    pub peer: UserId,
}
