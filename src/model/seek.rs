//! Moving a subscription to another place of the feed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{SubscriptionName, Time};

/// Where a subscription continues: the body of `POST /subscriptions/{name}/seek`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeekInput {
    /// `start`, the oldest event that is kept; `end`, what happens from now on; or a time (RFC 3339), the first
    /// event at that time or later.
    #[schema(value_type = String, example = "2026-01-31T12:00:00Z")]
    pub to: SeekTarget,
}

/// A place in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum SeekTarget {
    Start,
    End,
    Time(Time),
}

impl SeekTarget {
    /// The argument of `lua/subscriptions/seek_feed.lua`.
    pub fn script_arg(self) -> String {
        match self {
            Self::Start => "0-0".to_owned(),
            Self::End => "+".to_owned(),
            Self::Time(Time(time)) => format!("{}-0", time.timestamp_millis().max(1)),
        }
    }
}

impl TryFrom<String> for SeekTarget {
    type Error = &'static str;

    fn try_from(to: String) -> Result<Self, Self::Error> {
        match &*to {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            _ => Time::try_from(to)
                .map(Self::Time)
                .map_err(|_| "must be start, end, or an RFC 3339 time"),
        }
    }
}

/// Where a subscription was moved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeekResult {
    /// The subscription.
    #[serde(rename = "subscription")]
    #[schema(value_type = SubscriptionName)]
    pub name: SubscriptionName,
    /// Number of events that it reads again or for the first time, before types and rooms are filtered.
    pub lag: u64,
}
