//! Positions in the event stream of a user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::model::parse_decimal;

/// A position in the event stream of a user, directly after an event. Opaque to clients.
///
/// The epoch distinguishes a stream from a later one of the same user, after the user was erased or the
/// store was replaced. The offset is that of the event, from a hybrid clock in microseconds of at most
/// 2^53: offsets increase but are not consecutive.
///
/// A coarse cursor has a scan after a `~`: its position is in a list of `conversation.changed` events that
/// replaces events the journal no longer has. `lua/events/read_events.lua` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    epoch: u64,
    offset: u64,
    scan: Option<Scan>,
}

/// The position of a scan of the conversations that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scan {
    /// The cursor of the scan in Redis.
    position: u64,
    /// The offset of the last row that was returned at this position.
    told: u64,
    /// The offset at which the stream ended when the scan began.
    newest: u64,
    /// The beginning of the `run_id` of the server.
    server: u32,
}

impl Cursor {
    /// An exact cursor.
    pub const fn new(epoch: u64, offset: u64) -> Self {
        Self {
            epoch,
            offset,
            scan: None,
        }
    }

    /// The arguments of scripts: epoch, offset, and the scan of a coarse cursor.
    pub fn parts(self) -> [String; 3] {
        let scan = self.scan.map(|scan| scan.to_string());
        [
            self.epoch.to_string(),
            self.offset.to_string(),
            scan.unwrap_or_default(),
        ]
    }

    /// Whether this cursor is at or after another one of the same epoch.
    pub fn reaches(self, other: Self) -> bool {
        self.epoch == other.epoch && self.offset >= other.offset
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)?;
        match self.scan {
            Some(scan) => write!(f, "~{scan}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            position,
            told,
            newest,
            server,
        } = self;
        write!(f, "{position}-{told}-{newest}-{server:08x}")
    }
}

/// Parses the part of a coarse cursor after `~`.
fn parse_scan(text: &str) -> Option<Scan> {
    let mut parts = text.splitn(4, '-');
    let position = parse_decimal(parts.next()?, 20)?;
    let (told, newest) = (
        parse_decimal(parts.next()?, 16)?,
        parse_decimal(parts.next()?, 16)?,
    );
    let server = parts.next()?;
    let lowercase = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if server.len() != 8 || !server.bytes().all(lowercase) {
        return None;
    }
    let server = u32::from_str_radix(server, 16).ok()?;
    Some(Scan {
        position,
        told,
        newest,
        server,
    })
}

fn parse(text: &str) -> Option<Cursor> {
    let (exact, scan) = match text.split_once('~') {
        Some((exact, scan)) => (exact, Some(parse_scan(scan)?)),
        None => (text, None),
    };
    let (epoch, offset) = exact.split_once('-')?;
    Some(Cursor {
        epoch: parse_decimal(epoch, 16)?,
        offset: parse_decimal(offset, 16)?,
        scan,
    })
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or("must be the `cursor` of an event")
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
            .pattern(Some(
                "^[0-9]{1,16}-[0-9]{1,16}(~1?[0-9]{1,19}-[0-9]{1,16}-[0-9]{1,16}-[0-9a-f]{8})?$",
            ))
            .examples(["1768564800000000-1768564800123456"]);
        text.into()
    }
}

impl ToSchema for Cursor {}
