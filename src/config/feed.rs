//! Settings of the feed that subscriptions read, of webhooks, and of `duologue listen`.

use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

use super::ServiceArgs;
use super::network::network;
use crate::model::{FeedEventType, FeedStart, RoomId, SubscriptionName};

/// What is kept for subscriptions.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Subscriptions")]
pub struct Feed {
    /// How long events are kept after all subscriptions have read them, so that one can go back: 30m, 1h, 2d
    #[arg(long, env = "DUOLOGUE_FEED_KEEP", value_name = "TIME", default_value = "1h", value_parser = keep)]
    pub feed_keep: Duration,

    /// Maximum number of events that are kept; a subscription that does not read loses the oldest. Each takes
    /// Redis about 400 bytes
    #[arg(long, env = "DUOLOGUE_FEED_LIMIT", value_name = "NUMBER", default_value = "1000000", value_parser = clap::value_parser!(u64).range(1000..=1_000_000_000))]
    pub feed_limit: u64,

    /// Private networks (IP or CIDR, comma-separated) to which webhooks may be sent, also over http
    #[arg(long, env = "DUOLOGUE_WEBHOOK_NETWORKS", value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    pub webhook_networks: Vec<IpNet>,

    /// Wait after the first failure of a webhook, from which all others are derived. For tests
    #[arg(long, hide = true, default_value = "5s", value_parser = humantime::parse_duration)]
    pub webhook_wait: Duration,

    /// Limit of a request to a webhook. For tests
    #[arg(long, hide = true, default_value = "15s", value_parser = humantime::parse_duration)]
    pub webhook_timeout: Duration,
}

/// What `duologue listen` reads.
#[derive(Args, Clone, Debug)]
pub struct ListenArgs {
    /// Name of the subscription, which is created if it does not exist
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub subscription: SubscriptionName,
    /// Types of the events of a new subscription, separated by commas
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = kind)]
    pub types: Vec<FeedEventType>,
    /// Room whose events a new subscription reads; may be given several times
    #[arg(long, value_name = "ROOM", value_parser = room)]
    pub room: Vec<RoomId>,
    /// Where a new subscription begins: start, the oldest event that is kept, or end
    #[arg(long, value_name = "PLACE", default_value = "end", value_parser = place)]
    pub from: FeedStart,
    /// Name of this consumer of the subscription
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub consumer: String,
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// At most 72 hours, after which every event is dropped.
fn keep(text: &str) -> Result<Duration, String> {
    let keep = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if keep > Duration::from_secs(72 * 3600) {
        return Err("must be at most 72h".to_owned());
    }
    Ok(keep)
}

fn name(text: &str) -> Result<SubscriptionName, &'static str> {
    SubscriptionName::try_from(text.to_owned())
}

fn room(text: &str) -> Result<RoomId, &'static str> {
    RoomId::try_from(text.to_owned())
}

fn kind(text: &str) -> Result<FeedEventType, &'static str> {
    FeedEventType::parse(text).ok_or("is not the type of an event")
}

fn place(text: &str) -> Result<FeedStart, &'static str> {
    match text {
        "start" => Ok(FeedStart::Start),
        "end" => Ok(FeedStart::End),
        _ => Err("must be start or end"),
    }
}
