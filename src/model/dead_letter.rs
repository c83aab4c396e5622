//! Dead letters: events that the webhook of a subscription did not take.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::message::rfc3339_millis;
use super::{FeedEvent, FeedEventId, Limit, RawFeedEvent, limits, parse_decimal, rfc3339};
use crate::error::{Code, Error};

/// The query of `GET /subscriptions/{name}/dead`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLettersQuery {
    /// The maximum number of dead letters; fewer if they are large.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 100)]
    limit: Limit<1, 500>,
    /// The `next_cursor` of the previous page.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]{1,16}$")]
    pub cursor: DeadLettersCursor,
}

fn default_limit() -> Limit<1, 500> {
    Limit::try_from(100).unwrap_or_default()
}

impl DeadLettersQuery {
    /// The maximum number of dead letters.
    pub fn limit(&self) -> u16 {
        self.limit.get()
    }
}

/// A position in a list of dead letters: when the last one of a page failed, in microseconds since 1970. Opaque to
/// clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DeadLettersCursor(pub u64);

impl TryFrom<String> for DeadLettersCursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let cursor = parse_decimal(&text, 16).map(Self);
        cursor.ok_or("must be the `next_cursor` of another page")
    }
}

/// A dead letter as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDeadLetter {
    /// The event, whose `attempt` is the number of attempts that failed.
    pub event: RawFeedEvent,
    /// The status of the last answer, if there was one.
    pub status: Option<u16>,
}

impl RawDeadLetter {
    /// The text of the store, see `lua/lib/dead_letter.lua`.
    pub fn to_text(&self) -> String {
        let RawFeedEvent {
            kind,
            attempt,
            data,
            ..
        } = &self.event;
        let status = self.status.map(|status| status.to_string());
        format!("{kind}|{attempt}|{}|{data}", status.unwrap_or_default())
    }

    /// Reads the text of the store.
    pub fn parse(id: FeedEventId, text: &str) -> Option<Self> {
        let parts: Vec<_> = text.splitn(4, '|').collect();
        let [kind, attempt, status, data] = parts[..] else {
            return None;
        };
        Some(Self {
            event: RawFeedEvent {
                id,
                kind: kind.to_owned(),
                attempt: attempt.parse().ok()?,
                data: data.to_owned(),
            },
            status: status.parse().ok(),
        })
    }
}

/// Some dead letters as the store keeps them, each with the time at which it failed in microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawDeadLetters {
    pub rows: Vec<(u64, RawDeadLetter)>,
    /// Whether there may be more.
    pub more: bool,
}

impl RawDeadLetters {
    /// The answer to a client. The events are JSON already; [`DeadLetterPage`] is what a client reads.
    pub fn to_json(&self) -> String {
        let now = Utc::now();
        let rows: Vec<_> = self.rows.iter().map(|row| row_json(row, now)).collect();
        let last = self.rows.last().filter(|_| self.more);
        let cursor = last.map_or("null".to_owned(), |(failed_us, _)| {
            format!("\"{failed_us}\"")
        });
        format!(
            r#"{{"dead_letters":[{}],"next_cursor":{cursor}}}"#,
            rows.join(",")
        )
    }
}

fn row_json((failed_us, letter): &(u64, RawDeadLetter), now: DateTime<Utc>) -> String {
    let failed_us = i64::try_from(*failed_us).unwrap_or_default();
    let failed_at = DateTime::from_timestamp_micros(failed_us).unwrap_or_default();
    let status = letter.status.map(|status| status.to_string());
    format!(
        r#"{{"event":{},"attempts":{},"status":{},"failed_at":"{}"}}"#,
        letter.event.to_json(now),
        letter.event.attempt,
        status.as_deref().unwrap_or("null"),
        rfc3339(failed_at)
    )
}

/// Events that the webhook of a subscription did not take, those that failed first first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterPage {
    /// The dead letters. Those that are being sent again are left out.
    pub dead_letters: Vec<DeadLetter>,
    /// The `cursor` of the next page; null on the last page.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// An event that the webhook of a subscription did not take.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// The event.
    pub event: FeedEvent,
    /// How often it was sent.
    pub attempts: u64,
    /// The HTTP status of the last answer; null if there was none.
    #[schema(required = true)]
    pub status: Option<u16>,
    /// When it was sent last (RFC 3339).
    #[serde(serialize_with = "rfc3339_millis")]
    pub failed_at: DateTime<Utc>,
}

/// Which dead letters to send again: the body of `POST /subscriptions/{name}/dead/retry`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSelection {
    /// The ids of the events; without it all dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 1, max_items = 500)]
    ids: Option<Vec<FeedEventId>>,
}

impl DeadLetterSelection {
    /// The ids; empty for all dead letters.
    pub fn checked(self) -> Result<Vec<FeedEventId>, Error> {
        match self.ids {
            None => Ok(Vec::new()),
            Some(ids) if (1..=limits::TAKEN_EVENTS).contains(&ids.len()) => Ok(ids),
            Some(_) => {
                let why = "must have 1 to 500 ids";
                Err(Error::field(Code::InvalidRequest, "/ids", why))
            }
        }
    }
}

/// How many dead letters will be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetriedDeadLetters {
    /// Their number.
    pub retried: u64,
}
