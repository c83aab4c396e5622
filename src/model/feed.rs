//! The feed: taking and acknowledging events.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::peer::ROOM;
use super::subscription::is_name;
use super::{Limit, StoredMessage, UserId, Wait, expired, limits, parse_decimal};
use crate::error::{Code, Error};

/// The id of an event: the number of its partition, when it was appended in milliseconds since 1970, and a number
/// that distinguishes events of the same millisecond. It grows within a conversation, and within the badges of a user,
/// whose partitions begin at 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    value_type = String,
    pattern = "^(51[01]|50[0-9]|[1-4][0-9]{2}|[1-9]?[0-9])-[0-9]{1,15}-[0-9]{1,15}$",
    example = "17-1795194096051-0"
)]
pub struct FeedEventId(FeedPosition);

/// The parts of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FeedPosition {
    partition: u16,
    ms: u64,
    number: u64,
}

impl FeedEventId {
    /// The id of an entry of one of the partitions of the feed.
    pub fn of(partition: u16, entry: &str) -> Option<Self> {
        let (ms, number) = entry.split_once('-')?;
        (partition < limits::FEED_PARTITIONS).then_some(())?;
        Some(Self(FeedPosition {
            partition,
            ms: parse_decimal(ms, 15)?,
            number: parse_decimal(number, 15)?,
        }))
    }

    pub fn partition(self) -> u16 {
        self.0.partition
    }

    /// The id in the feed of its partition.
    pub fn entry(self) -> String {
        format!("{}-{}", self.0.ms, self.0.number)
    }
}

impl fmt::Display for FeedEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FeedPosition {
            partition,
            ms,
            number,
        } = self.0;
        write!(f, "{partition}-{ms}-{number}")
    }
}

impl From<FeedEventId> for String {
    fn from(id: FeedEventId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for FeedEventId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        let parts = id.split_once('-');
        let parsed = parts.and_then(|(partition, entry)| Self::of(partition.parse().ok()?, entry));
        parsed
            .filter(|parsed| parsed.to_string() == id)
            .ok_or("must be the id of an event, such as 17-1795194096051-0")
    }
}

/// The name of a consumer of a subscription, of the same form as the name of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 64,
    pattern = "^[A-Za-z0-9._~-]{1,64}$",
    example = "default"
)]
pub struct ConsumerName(String);

impl ConsumerName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ConsumerName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl TryFrom<String> for ConsumerName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if is_name(&name) {
            return Ok(Self(name));
        }
        Err("must have 1 to 64 characters of A-Z a-z 0-9 - . _ ~")
    }
}

/// The query of `GET /subscriptions/{name}/events`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TakeQuery {
    /// The name of the consumer. Each process that reads the subscription has its own.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._~-]{1,64}$", default = "default")]
    pub consumer: ConsumerName,
    /// The maximum number of events; fewer if they are large.
    #[serde(default = "default_take")]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 100)]
    limit: Limit<1, 500>,
    /// Seconds to wait for an event if there is none.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 30, default = 0)]
    wait: Wait,
    /// Whether the client only asks for the headers.
    #[serde(skip)]
    #[param(ignore)]
    pub is_head: bool,
}

fn default_take() -> Limit<1, 500> {
    Limit::try_from(100).unwrap_or_default()
}

impl TakeQuery {
    /// The maximum number of events. Nothing is given to who only asks for the headers.
    pub fn limit(&self) -> u16 {
        if self.is_head { 0 } else { self.limit.get() }
    }

    /// How many seconds to wait.
    pub fn wait_s(&self) -> u8 {
        if self.is_head { 0 } else { self.wait.seconds() }
    }
}

/// An event as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFeedEvent {
    pub id: FeedEventId,
    /// Its type.
    pub kind: String,
    /// How often it was given to a consumer.
    pub attempt: u64,
    /// What happened: a JSON object.
    pub data: String,
}

impl RawFeedEvent {
    /// The data of a new message. The store has only the message, whose beginning says the rest.
    pub fn data_of_message(message: &str) -> Option<String> {
        let seq = StoredMessage::seq_of(message)?;
        let from = StoredMessage::sender_of(message)?;
        let to = StoredMessage::recipient_of(message)?;
        let conversation = match to.strip_prefix(ROOM) {
            Some(room) => format!(r#""room":"{room}""#),
            None => format!(r#""users":["{}","{}"]"#, from.min(to), from.max(to)),
        };
        Some(format!(
            r#"{{{conversation},"by":"{from}","last_seq":{seq},"message":{message}}}"#
        ))
    }

    /// The users whom the event names, and other texts of it that have the form of an id.
    pub fn named_users(&self) -> BTreeSet<&str> {
        // No id needs escaping in JSON.
        let texts = self.data.split('"');
        texts.filter(|text| UserId::is_valid(text)).collect()
    }

    /// The event as clients see it at a time: a message that has expired is replaced by its tombstone.
    pub fn to_json(&self, now: DateTime<Utc>) -> String {
        // `message` is the last member, and no earlier value contains a quote.
        const MESSAGE: &str = r#","message":"#;
        let tombstone = self.data.split_once(MESSAGE).and_then(|(data, message)| {
            let tombstone = expired(message.strip_suffix('}')?, now)?;
            Some([data, MESSAGE, &tombstone, "}"].concat())
        });
        let time = DateTime::from_timestamp_millis(i64::try_from(self.id.0.ms).unwrap_or_default());
        format!(
            r#"{{"id":"{}","type":"{}","timestamp":"{}","attempt":{},"data":{}}}"#,
            self.id,
            self.kind,
            super::rfc3339(time.unwrap_or_default()),
            self.attempt,
            tombstone.as_ref().unwrap_or(&self.data)
        )
    }
}

/// The events that a consumer is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawFeedPage {
    pub events: Vec<RawFeedEvent>,
    /// Number of events that the subscription lost.
    pub lost: u64,
}

impl RawFeedPage {
    /// The answer to a consumer. The data is JSON already, so it is pasted in; [`FeedPage`] is what a client reads.
    pub fn to_json(&self) -> String {
        let now = Utc::now();
        let events: Vec<_> = self.events.iter().map(|event| event.to_json(now)).collect();
        format!(
            r#"{{"events":[{}],"lost":{}}}"#,
            events.join(","),
            self.lost
        )
    }
}

/// The events that a consumer has processed: the body of `POST /subscriptions/{name}/ack`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AckInput {
    /// The name of the consumer; `default` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    consumer: Option<ConsumerName>,
    /// The ids of the events; each stands also for the events before it in its partition.
    #[schema(min_items = 1, max_items = 500)]
    ids: Vec<FeedEventId>,
}

impl AckInput {
    /// The consumer and the ids.
    pub fn checked(self) -> Result<(ConsumerName, Vec<FeedEventId>), Error> {
        if !(1..=limits::TAKEN_EVENTS).contains(&self.ids.len()) {
            let why = "must have 1 to 500 ids";
            return Err(Error::field(Code::InvalidRequest, "/ids", why));
        }
        Ok((self.consumer.unwrap_or_default(), self.ids))
    }
}

/// What an acknowledgement did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AckResult {
    /// Number of events that are acknowledged now and were not before.
    pub acknowledged: u64,
    /// The ids that another consumer has been given meanwhile, because they were not acknowledged in time.
    pub late: Vec<FeedEventId>,
}
