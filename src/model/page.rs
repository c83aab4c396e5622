//! Pages of a conversation: which messages a read returns, and whether it marks them as read. Also the limit and
//! the wait that other reads have too.

use chrono::{DateTime, Datelike, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Seq, rfc3339};
use crate::error::{Code, Error};

/// The query of `GET /conversations/{user}/{peer}`. At most one of `before`, `after`, `around` and
/// `around_time` can be given.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The maximum number of messages in `history`. With 0 the response has only the state of the
    /// conversation and the unread messages, and marks nothing as read by default.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 200, default = 50)]
    limit: Limit<0, 200>,
    /// The maximum number of messages in `unread`. Messages that have moved to the archive are not in it.
    /// `unread_count` is exact in any case. The default is 100, and 0 with `before`, `after`, `around` or
    /// `around_time`.
    #[param(value_type = Option<u16>, nullable = false, minimum = 0, maximum = 500)]
    unread_limit: Option<Limit<0, 500>>,
    /// Only messages older than this `seq`: the `next_before` of another page.
    before: Option<Seq>,
    /// Only messages newer than this `seq`, the oldest of them: the `next_after` of another page.
    after: Option<Seq>,
    /// The message with this `seq` and half a page on each side of it. If it no longer exists, the
    /// nearest one.
    around: Option<Seq>,
    /// The same for the first message that was sent at this time (RFC 3339) or later; the newest
    /// one if there is none.
    #[param(value_type = Option<String>, nullable = false, format = DateTime, example = "2026-01-31T00:00:00Z")]
    around_time: Option<PageTime>,
    /// Whether to leave everything unread. `false` marks the whole conversation as read. By default
    /// only the newest page marks it: a request without `before`, `after`, `around` and
    /// `around_time` whose `limit` is not 0.
    peek: Option<bool>,
}

/// The position of a page in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest messages.
    Newest,
    /// The newest messages older than this one.
    Before(Seq),
    /// The oldest messages newer than this one.
    After(Seq),
    /// This message and those next to it.
    Around(Seq),
    /// The first message sent at this time or later, and those next to it.
    AroundTime(PageTime),
}

impl PageQuery {
    /// The same page, read without marking anything as read.
    #[must_use]
    pub fn peeking(self) -> Self {
        Self {
            peek: Some(true),
            ..self
        }
    }

    /// The position of the page. Refuses a query with more than one.
    pub fn range(&self) -> Result<Range, Error> {
        let given = [
            self.before.map(|seq| ("/query/before", Range::Before(seq))),
            self.after.map(|seq| ("/query/after", Range::After(seq))),
            self.around.map(|seq| ("/query/around", Range::Around(seq))),
            self.around_time
                .map(|time| ("/query/around_time", Range::AroundTime(time))),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (None, _) => Ok(Range::Newest),
            (Some((_, range)), None) => Ok(range),
            (Some(_), Some((pointer, _))) => {
                let why = "only one of `before`, `after`, `around` and `around_time` can be given";
                Err(Error::field(Code::InvalidRequest, pointer, why))
            }
        }
    }

    /// The maximum number of messages in the history.
    pub fn limit(&self) -> u16 {
        self.limit.get()
    }

    /// The maximum number of unread messages of a page at this position.
    pub fn unread_limit(&self, range: Range) -> u16 {
        match (self.unread_limit, range) {
            (Some(limit), _) => limit.get(),
            (None, Range::Newest) => 100,
            (None, _) => 0,
        }
    }

    /// Whether a page at this position marks the conversation as read.
    pub fn marks_read(&self, range: Range) -> bool {
        let shows_newest = range == Range::Newest && self.limit() > 0;
        self.peek.map_or(shows_newest, |peek| !peek)
    }
}

impl Range {
    /// The name of the range and its position, as `lua/lib/page.lua` takes them.
    pub fn script_args(self) -> (&'static str, String) {
        let seq = |seq: Seq| seq.get().to_string();
        match self {
            Self::Newest => ("newest", String::new()),
            Self::Before(place) => ("before", seq(place)),
            Self::After(place) => ("after", seq(place)),
            Self::Around(place) => ("around", seq(place)),
            Self::AroundTime(time) => ("around_time", rfc3339(time.0)),
        }
    }
}

/// A time in the years 0 to 9999, whose RFC 3339 texts sort chronologically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageTime(DateTime<Utc>);

impl TryFrom<String> for PageTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
        match time {
            Ok(time) if (0..=9999).contains(&time.year()) => Ok(Self(time)),
            _ => Err(
                "must be an RFC 3339 time such as 2026-01-31T00:00:00Z; encode + as %2B in a query",
            ),
        }
    }
}

/// The maximum number of items of a page, 50 by default.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit<const MIN: u16 = 1, const MAX: u16 = 200>(u16);

impl<const MIN: u16, const MAX: u16> Limit<MIN, MAX> {
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl<const MIN: u16, const MAX: u16> Default for Limit<MIN, MAX> {
    fn default() -> Self {
        Self(50)
    }
}

impl<const MIN: u16, const MAX: u16> TryFrom<u64> for Limit<MIN, MAX> {
    type Error = String;

    fn try_from(limit: u64) -> Result<Self, Self::Error> {
        match u16::try_from(limit) {
            Ok(limit) if (MIN..=MAX).contains(&limit) => Ok(Self(limit)),
            _ => Err(format!("must be {MIN} to {MAX}")),
        }
    }
}

/// Seconds to wait for an event: 0 to 30.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
pub struct Wait(u8);

impl Wait {
    pub const fn seconds(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Wait {
    type Error = &'static str;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        match u8::try_from(seconds) {
            Ok(seconds @ 0..=30) => Ok(Self(seconds)),
            _ => Err("must be 0 to 30 seconds"),
        }
    }
}
