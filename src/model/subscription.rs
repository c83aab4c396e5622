//! Subscriptions: named readers of everything that happens in the service.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json::JsonInteger;
use super::message::rfc3339_millis;
use super::{
    ConsumerName, FeedEventType, RoomId, WebhookNetworks, WebhookSecret, WebhookUrl, limits,
};
use crate::error::{Code, Error};

/// The name of a subscription: 1 to 64 characters of `A-Z a-z 0-9 - . _ ~`; not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 64,
    pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._~-]{1,64}$",
    example = "archive"
)]
pub struct SubscriptionName(String);

impl SubscriptionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SubscriptionName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if is_name(&name) && !matches!(&*name, "." | "..") {
            return Ok(Self(name));
        }
        Err("must have 1 to 64 characters of A-Z a-z 0-9 - . _ ~, and not be . or ..")
    }
}

/// Whether a text is the name of a subscription or of a consumer. None needs escaping in JSON, and none contains
/// a separator of the store.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (1..=limits::SUBSCRIPTION_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// Where a subscription begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedStart {
    /// With the oldest event that is kept.
    Start,
    /// With what happens from now on.
    #[default]
    End,
}

impl FeedStart {
    /// The argument of `lua/subscriptions/open_feed.lua`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }
}

/// Seconds after which events that a consumer has not acknowledged are given to another one: 5 to 600.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "JsonInteger")]
#[schema(minimum = 5, maximum = 600, default = 30)]
pub struct AckWait(u16);

impl AckWait {
    pub const fn seconds(self) -> u16 {
        self.0
    }
}

impl Default for AckWait {
    fn default() -> Self {
        Self(30)
    }
}

impl TryFrom<JsonInteger> for AckWait {
    type Error = &'static str;

    fn try_from(JsonInteger(seconds): JsonInteger) -> Result<Self, Self::Error> {
        match u16::try_from(seconds) {
            Ok(seconds @ 5..=600) => Ok(Self(seconds)),
            _ => Err("must be 5 to 600 seconds"),
        }
    }
}

/// The settings of a subscription: the body of `PUT /subscriptions/{name}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionInput {
    /// The types of the events. Without it all, except those that are only for subscriptions that name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 1, max_items = 100)]
    types: Option<Vec<FeedEventType>>,
    /// Only events of these rooms. Without it, or if it is empty, events of all conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_items = 100)]
    rooms: Option<Vec<RoomId>>,
    /// Where a new subscription begins: `end` by default. An existing one continues where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<FeedStart>,
    /// Seconds after which events that a consumer has not acknowledged are given to another one. 30 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ack_wait_s: Option<AckWait>,
    /// The webhook: the service sends the events there. Without it, consumers take them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<WebhookUrl>,
    /// The secret that signs webhooks. Without it, the service makes one for a new webhook and keeps that of an
    /// existing one. The secret before signs beside a new one for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<WebhookSecret>,
    /// Whether events wait instead of being sent. `false` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    paused: Option<bool>,
}

impl SubscriptionInput {
    /// The settings of a subscription to these types and rooms; to all if there are none.
    pub fn new(types: &[FeedEventType], rooms: &[RoomId], from: FeedStart) -> Self {
        Self {
            types: (!types.is_empty()).then(|| types.to_vec()),
            rooms: (!rooms.is_empty()).then(|| rooms.to_vec()),
            from: Some(from),
            ack_wait_s: None,
            url: None,
            secret: None,
            paused: None,
        }
    }

    /// The settings with all defaults, of a subscription that is created now, and the secret of its webhook.
    pub fn into_settings(
        self,
        networks: &WebhookNetworks,
    ) -> Result<(SubscriptionSettings, Option<WebhookSecret>), Error> {
        let refused = |pointer, why: &'static str| {
            let error = Error::field(Code::InvalidRequest, pointer, why);
            Err(error)
        };
        let mut types = self.types.unwrap_or_else(FeedEventType::defaults);
        if types.is_empty() || types.len() > limits::SUBSCRIPTION_FILTER {
            return refused("/types", "must have 1 to 100 types");
        }
        let mut rooms = self.rooms.unwrap_or_default();
        if rooms.len() > limits::SUBSCRIPTION_FILTER {
            return refused("/rooms", "must have at most 100 rooms");
        }
        let paused = self.paused.unwrap_or_default();
        match &self.url {
            Some(url) => {
                if let Err(why) = networks.check_url(url) {
                    return refused("/url", why);
                }
            }
            None if self.secret.is_some() => return refused("/secret", "requires `url`"),
            None if paused => return refused("/paused", "requires `url`"),
            None => {}
        }
        types.sort_unstable();
        types.dedup();
        rooms.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        rooms.dedup();
        let settings = SubscriptionSettings {
            types,
            rooms,
            from: self.from.unwrap_or_default(),
            ack_wait_s: self.ack_wait_s.unwrap_or_default(),
            url: self.url,
            paused,
        };
        Ok((settings, self.secret))
    }
}

/// The settings of a subscription as the store keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionSettings {
    /// The types of the events.
    pub types: Vec<FeedEventType>,
    /// The rooms whose events it reads; empty for all conversations.
    pub rooms: Vec<RoomId>,
    /// Where it began.
    pub from: FeedStart,
    /// Seconds after which events that a consumer has not acknowledged are given to another one.
    pub ack_wait_s: AckWait,
    /// The webhook; null if consumers take the events.
    #[serde(default)]
    #[schema(required = true)]
    pub url: Option<WebhookUrl>,
    /// Whether events wait instead of being sent to the webhook.
    #[serde(default)]
    #[schema(required = true)]
    pub paused: bool,
}

impl SubscriptionSettings {
    /// Whether it reads what users' badges become.
    pub fn reads_badges(&self) -> bool {
        self.types.contains(&FeedEventType::BadgeChanged)
    }

    /// Whether it reads what happens in conversations.
    pub fn reads_conversations(&self) -> bool {
        let mut types = self.types.iter();
        types.any(|kind| *kind != FeedEventType::BadgeChanged)
    }
}

/// Whether a subscription can be read, or is sent to its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// It is being created or changed, which takes less than a second, or longer if Redis fails meanwhile.
    Opening,
    /// It has every event from now on. Events are sent to its webhook, if it has one.
    Open,
    /// Nothing is sent to its webhook, because it is paused.
    Paused,
    /// Its webhook does not take events. One is tried at a time, less and less often, until it does.
    Failing,
    /// Its webhook answered 410, so nothing is sent any more until the subscription is changed.
    Gone,
}

/// A subscription.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Subscription {
    /// The name.
    pub name: SubscriptionName,
    /// The settings.
    #[serde(flatten)]
    pub settings: SubscriptionSettings,
    /// Whether it can be read, or is sent to its webhook.
    pub state: SubscriptionState,
    /// When it was created (RFC 3339).
    #[serde(serialize_with = "rfc3339_millis")]
    pub created_at: DateTime<Utc>,
    /// What it has not read.
    #[serde(flatten)]
    pub backlog: Backlog,
    /// The secret that signs webhooks: only in the response to the request for which the service made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<WebhookSecret>,
}

/// What a subscription has not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Backlog {
    /// Number of events that no consumer was given yet, before types and rooms are filtered.
    pub lag: u64,
    /// Number of events that a consumer was given and has not acknowledged.
    pub pending: u64,
    /// Number of events that were dropped before they were acknowledged, because they were too old or too many.
    pub lost: u64,
    /// Number of events that the webhook did not take and that are not sent again by themselves.
    pub dead: u64,
    /// When the oldest event happened that is not acknowledged (RFC 3339); null if there is none.
    #[schema(required = true, format = DateTime)]
    pub oldest_at: Option<String>,
    /// The consumers that have events they have not acknowledged.
    pub consumers: Vec<ConsumerState>,
}

/// A consumer that has events it has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsumerState {
    /// The name.
    #[serde(rename = "name")]
    #[schema(value_type = ConsumerName)]
    pub id: ConsumerName,
    /// Number of these events.
    pub pending: u64,
    /// Seconds since it was last given some of them.
    pub idle_s: u64,
}

/// All subscriptions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubscriptionList {
    /// The subscriptions in the order of their names; at most 32.
    pub subscriptions: Vec<Subscription>,
}
