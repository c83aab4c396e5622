//! Times in requests.

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// How far the clock of another service may be ahead.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// An RFC 3339 time with a year of four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Time(pub DateTime<Utc>);

impl TryFrom<String> for Time {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // chrono represents a leap second as more than 10^9 ns. It becomes the end of the second before.
        const LAST_NANOSECOND: u32 = 999_999_999;
        let time = DateTime::parse_from_rfc3339(&text)
            .ok()
            .map(|time| time.to_utc());
        let time = time.filter(|time| (0..=9999).contains(&time.year()));
        let time = time.ok_or(
            "must be an RFC 3339 time with a year of four digits, such as 2019-01-31T12:00:00Z",
        )?;
        let nanosecond = time.nanosecond().min(LAST_NANOSECOND);
        Ok(Self(time.with_nanosecond(nanosecond).unwrap_or(time)))
    }
}

/// A time in the future, at most 10 years ahead.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct FutureTime(pub(super) DateTime<Utc>);

impl TryFrom<String> for FutureTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (Time(time), now) = (Time::try_from(text)?, Utc::now());
        if time <= now {
            return Err("must be in the future");
        }
        if time > now + TimeDelta::days(3653) {
            return Err("must be at most 10 years ahead");
        }
        Ok(Self(time))
    }
}

/// A time in the past, with a tolerance of [`CLOCK_SKEW`].
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(super) struct PastTime(pub(super) DateTime<Utc>);

impl TryFrom<String> for PastTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let Time(time) = Time::try_from(text)?;
        if time > Utc::now() + CLOCK_SKEW {
            return Err("must not be in the future");
        }
        Ok(Self(time))
    }
}
