//! Positions in a conversation, and numbers in the text of other positions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json::JsonInteger;

/// A position in a conversation: 1, 2, 3, ... without gaps, never reused. 0 is the position before the
/// first message. At most 2^53 - 1, the largest integer that JSON readers (RFC 8259 section 6) and Lua
/// represent exactly.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "JsonInteger")]
#[schema(minimum = 0, maximum = 9007199254740991u64)]
pub struct Seq(u64);

impl Seq {
    const MAX: u64 = (1 << 53) - 1;

    /// The position as a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<JsonInteger> for Seq {
    type Error = &'static str;

    fn try_from(JsonInteger(seq): JsonInteger) -> Result<Self, Self::Error> {
        Self::try_from(seq)
    }
}

impl TryFrom<u64> for Seq {
    type Error = &'static str;

    fn try_from(seq: u64) -> Result<Self, Self::Error> {
        if seq <= Self::MAX {
            Ok(Self(seq))
        } else {
            Err("must be at most 9007199254740991")
        }
    }
}

/// Reads a decimal number of at most `digits` digits, as ids and cursors contain them.
pub fn parse_decimal(text: &str, digits: usize) -> Option<u64> {
    let valid = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}
