//! The stream of a user: places in it, and what happens in it. The page `docs/live.md` says what
//! the events mean.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::error::{Code, Error};
use crate::model::{Limit, Presence, UnreadTotals, UserId};

/// A place in the stream of a user: behind an event. Opaque to clients.
///
/// The epoch tells one stream of a user from a later one, after the user was erased or the store
/// replaced. The number is that of the event, dense in time and not in itself: a hybrid clock in
/// microseconds, at most 2^53. The place is rough, `~` behind the number, among conversations that are
/// told to have changed: those that changed behind it are still to be told, whatever else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    epoch: u64,
    offset: u64,
    coarse: bool,
}

impl Cursor {
    /// A place by its epoch and number.
    pub const fn new(epoch: u64, offset: u64) -> Self {
        let coarse = false;
        Self {
            epoch,
            offset,
            coarse,
        }
    }

    /// The epoch, the number and what is behind it, as scripts take them.
    pub fn parts(self) -> [String; 3] {
        let coarse = if self.coarse { "~" } else { "" };
        [
            self.epoch.to_string(),
            self.offset.to_string(),
            coarse.to_owned(),
        ]
    }

    /// Whether this place is at or behind another one of the same stream.
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
            let form =
                (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            form.then(|| digits.parse().ok()).flatten()
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
        parts.ok_or("this is not the `cursor` of an event")
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

/// Something that happened, as a user is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    text: String,
    /// Its place, if it is one that is kept.
    cursor: Option<Cursor>,
    /// The place of the kept event before it.
    prev: Option<Cursor>,
}

/// The members of an event that a place can be read from.
#[derive(Deserialize)]
struct Head {
    cursor: Option<Cursor>,
    prev: Option<Cursor>,
}

impl Event {
    /// Reads an event as the store published it.
    pub fn parse(text: String) -> Result<Self, Error> {
        let head: Head = serde_json::from_str(&text)
            .map_err(|e| Error::new(Code::Internal, format!("an event is out of form: {e}")))?;
        Ok(Self {
            cursor: head.cursor,
            prev: head.prev,
            text,
        })
    }

    /// A peer is typing. Not kept.
    pub fn typing(peer: &UserId) -> String {
        format!(r#"{{"type":"typing","peer":"{peer}"}}"#)
    }

    /// A peer came or went. Not kept.
    pub fn presence(presence: &Presence) -> String {
        let Presence { user, online, .. } = presence;
        let last_seen = presence.last_seen_json();
        format!(
            r#"{{"type":"presence.changed","peer":"{user}","online":{online},"last_seen":{last_seen}}}"#
        )
    }

    /// The event as JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its place; `None` if it is not kept.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The place of the event before it.
    pub fn prev(&self) -> Option<Cursor> {
        self.prev
    }

    /// The JSON of an event that is not kept, with a place in the stream that it was told at: so
    /// that a client finds a cursor in everything it gets.
    pub fn told_at(&self, place: Cursor) -> String {
        match self.text.split_once(',') {
            Some((kind, rest)) => {
                [kind, r#","cursor":""#, &place.to_string(), "\",", rest].concat()
            }
            None => self.text.clone(),
        }
    }
}

/// A part of a stream, oldest event first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl EventPage {
    /// Whether the cursor was not of this stream: the only event is a `reset`.
    pub fn is_reset(&self) -> bool {
        let first = self.events.first();
        first.is_some_and(|event| event.text.starts_with(r#"{"type":"reset""#))
    }
}

/// Where the stream of a user is, and the user's badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Behind the last event.
    pub cursor: Cursor,
    /// How much is unread.
    pub totals: UnreadTotals,
}

/// What to poll for: the query of `GET /events`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Whose events; to be named by a backend, and where the service is open.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._~@-]{1,64}$")]
    pub user: Option<UserId>,
    /// Only events behind this one: the `next_cursor` of the answer before. Without it the stream
    /// starts now. `Last-Event-ID` comes before it.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]{1,16}-[0-9]{1,16}~?$")]
    pub after: Option<Cursor>,
    /// How many events, at most; when polling.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    pub limit: Limit,
    /// Seconds to wait for an event, when polling.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 30, default = 0)]
    pub wait: Wait,
    /// A ticket instead of a credential, as of `POST /tickets`.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 128)]
    pub ticket: Option<String>,
}

/// Seconds to wait for an event: 0 to 30.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
pub struct Wait(u8);

impl Wait {
    /// The number.
    pub const fn seconds(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Wait {
    type Error = &'static str;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        match u8::try_from(seconds) {
            Ok(seconds @ 0..=30) => Ok(Self(seconds)),
            _ => Err("a wait is 0 to 30 seconds"),
        }
    }
}
