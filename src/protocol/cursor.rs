//! Positions in the event stream of a user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A position in the event stream of a user, directly after an event. Opaque to clients.
///
/// The epoch distinguishes a stream from a later one of the same user, after the user was erased or the
/// store was replaced. The offset is that of the event, from a hybrid clock in microseconds of at most
/// 2^53: offsets increase but are not consecutive.
///
/// A coarse cursor ends with `~`. It is a position in a list of `conversation.changed` events that
/// replaces events the journal no longer has. Nothing has been sent yet about the conversations that
/// changed after it, not even earlier changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    epoch: u64,
    offset: u64,
    coarse: bool,
}

impl Cursor {
    /// An exact cursor.
    pub const fn new(epoch: u64, offset: u64) -> Self {
        Self {
            epoch,
            offset,
            coarse: false,
        }
    }

    /// The arguments of scripts: epoch, offset, and `~` if the cursor is coarse.
    pub fn parts(self) -> [String; 3] {
        let coarse = if self.coarse { "~" } else { "" };
        [
            self.epoch.to_string(),
            self.offset.to_string(),
            coarse.to_owned(),
        ]
    }

    /// Whether this cursor is at or after another one of the same epoch.
    pub fn reaches(self, other: Self) -> bool {
        self.epoch == other.epoch && self.offset >= other.offset
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [epoch, offset, coarse] = self.parts();
        write!(f, "{epoch}-{offset}{coarse}")
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            let valid =
                (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            valid.then(|| digits.parse().ok()).flatten()
        };
        let (exact, coarse) = match text.strip_suffix('~') {
            Some(exact) => (exact, true),
            None => (text, false),
        };
        let parts = exact.split_once('-').and_then(|(epoch, offset)| {
            let (epoch, offset) = (number(epoch)?, number(offset)?);
            Some(Self {
                epoch,
                offset,
                coarse,
            })
        });
        parts.ok_or("must be the `cursor` of an event")
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A position in the event stream of a user, directly after an event. Opaque.",
            ))
            .pattern(Some("^[0-9]{1,16}-[0-9]{1,16}~?$"))
            .examples(["1768564800000000-1768564800123456"]);
        text.into()
    }
}

impl ToSchema for Cursor {}
