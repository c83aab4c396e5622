//! The only module that knows Redis.
//!
//! Lua scripts make every decision on data, atomically. A method of [`Store`] names the keys, calls
//! the script of the same name (`send_message` runs `lua/messages/send_message.lua`) and types the
//! reply. There is deliberately no trait over the store and no second implementation: tests run
//! against a real Redis.

mod archived;
mod archived_erasure;
mod archived_pages;
mod archiving;
mod backlog;
mod change;
mod cluster;
mod connection;
mod conversations;
mod dead_letters;
mod erasure;
mod events;
mod feed;
mod feed_cluster;
mod filing;
mod function;
mod function_library;
mod health;
mod health_report;
mod import;
mod inbox;
mod keys;
mod messages;
mod node_connections;
mod node_listener;
mod orphans;
mod outbox;
mod presence;
mod pubsub;
mod rates;
mod redis_mode;
mod redis_url;
mod repair;
mod replacement;
mod reply;
mod retention;
mod room_change;
mod room_conversations;
mod room_erasure;
mod room_events;
mod room_messages;
mod room_places;
mod rooms;
mod schedule;
mod script;
mod settings;
mod slot_map;
mod store_archive;
mod stored_subscription;
mod subscriptions;
mod topology;
mod unread;
mod users;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::{FromRedisValue, Value};
use tokio::time::timeout;

pub use archiving::MovingSegment;
pub use backlog::{FeedLimits, TrimmedFeed};
pub use change::ConversationRequest;
pub use feed::TakeRequest;
pub use filing::{Filed, MemberInbox, RoomFiling, TakenEvents};
pub use health_report::{Durability, Health, MasterHealth, MasterReport};
pub use keys::{Keys, PARTITIONS};
pub use messages::Sent;
pub use orphans::KnownObjects;
pub use outbox::OutboxEntry;
pub use presence::PresenceRenewal;
pub use pubsub::{Channel, PubSub, PubSubListener, PubSubMessage};
pub use redis::{ClientTlsConfig, TlsCertificates};
pub use redis_mode::RedisMode;
pub use retention::{FoundConversation, Trimmed};
pub use room_change::RoomRequest;
pub use rooms::{RoomAccess, RoomCreation, SetMember, SetRoom};
pub use schedule::DueEntry;
pub use script::{LIBRARY, RetrySafety, SCRIPTS, Script, included};
pub use slot_map::Node;
pub use store_archive::ArchivePolicy;
pub use stored_subscription::StoredSubscription;
pub use subscriptions::SetSubscription;
pub use webhooks::{
    DeliveryVerdict, FailedAttempt, FailedEvent, OPEN_CIRCUIT, WebhookLease, WebhookState,
};

use crate::archive::Archive;
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::Retention;
use crate::rate::RateLimited;
use backlog::LostEvents;
use connection::ScriptCall;
use filing::Filings;
use node_connections::NodeConnections;
use outbox::Outbox;
use redis_url::RedisUrl;
use store_archive::StoreArchive;
use topology::Topology;

/// Maximum number of bytes in a list of messages: 448 KiB. An answer contains at most two such lists, so it
/// stays below 1 MiB.
const PAGE_BYTES: &str = "458752";
/// The same as a number.
const PAGE_SIZE: usize = 458_752;

/// Number of attempts to send an event to a webhook, after which it becomes a dead letter.
const WEBHOOK_ATTEMPTS: u64 = 8;

/// A handle on the store. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Store {
    keys: Arc<Keys>,
    metrics: Arc<Metrics>,
    topology: Arc<Topology>,
    connections: Arc<NodeConnections>,
    retention: Retention,
    /// The replicas that must have a change before it is acknowledged.
    replicas: u8,
    /// Whether a change takes two steps, because the keys of users are on other nodes than their conversations.
    two_steps: bool,
    /// Where older messages are; `None` if all are in Redis.
    archive: Option<Arc<StoreArchive>>,
    outbox: Arc<Outbox>,
    filings: Arc<Filings>,
    lost_events: Arc<LostEvents>,
    /// Whether a subscription may read badges, as this process found last.
    reads_badges: Arc<AtomicBool>,
}

impl Store {
    /// A store at a Redis URL (`redis://`, `redis+sentinel://`, `redis+cluster://`, each also with TLS, or
    /// `unix://`). Connects on first use. Certificates are for TLS; without them the system's authorities are
    /// trusted.
    pub fn new(
        url: &str,
        certificates: Option<TlsCertificates>,
        retention: Retention,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let url = RedisUrl::parse(url, certificates)?;
        let keys = Arc::new(Keys::new().in_database(url.database()));
        let topology = Arc::new(Topology::of(url));
        let two_steps = topology.is_cluster();
        Ok(Self {
            keys,
            connections: Arc::new(NodeConnections::new(topology.clone(), metrics.clone())),
            metrics,
            topology,
            retention,
            replicas: 0,
            two_steps,
            archive: None,
            outbox: Arc::default(),
            filings: Arc::default(),
            lost_events: Arc::default(),
            reads_badges: Arc::new(AtomicBool::new(true)),
        })
    }

    /// The same store, where this number of replicas must have a change before it is acknowledged.
    #[must_use]
    pub fn with_replicas(self, replicas: u8) -> Self {
        Self { replicas, ..self }
    }

    /// The same store, whose older messages are in an archive.
    #[must_use]
    pub fn with_archive(self, archive: Archive, policy: ArchivePolicy) -> Self {
        Self {
            archive: Some(Arc::new(StoreArchive::new(archive, policy))),
            ..self
        }
    }

    /// The same store, with changes in two steps even if it is one Redis.
    #[must_use]
    pub fn in_two_steps(self) -> Self {
        Self {
            two_steps: true,
            ..self
        }
    }

    /// A handle with connections of its own, driven by the runtime that uses them first. Each worker
    /// thread has one, so no thread wakes another and all requests of a thread share a pipeline
    /// (16,400 requests/s, measured; 8,300 with a pooled connection per request).
    #[must_use]
    pub fn with_own_connection(&self) -> Self {
        let connections = NodeConnections::new(self.topology.clone(), self.metrics.clone());
        Self {
            connections: Arc::new(connections),
            ..self.clone()
        }
    }

    /// Checks that a URL is one that [`Store::new`] accepts.
    pub fn check_url(url: &str) -> Result<(), String> {
        RedisUrl::parse(url, None).map(|_| ())
    }

    /// All nodes that take writes: one, unless the store is a cluster.
    pub fn masters(&self) -> Vec<Node> {
        self.topology.masters()
    }

    /// A connection for administrative commands; otherwise the reason why there is none.
    async fn pooled_connection(&self) -> Result<deadpool_redis::Connection, String> {
        let node = self.topology.node_of(&self.keys.store());
        self.topology.pooled_connection(&node).await
    }

    /// Runs a script and converts its reply.
    async fn run<T: FromRedisValue>(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<T, Error> {
        self.call(script, script.retry, keys, args).await
    }

    async fn call<T: FromRedisValue>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<T, Error> {
        debug_assert!(!self.two_steps || keys::have_one_slot(keys), "{keys:?}");
        let timer = self.metrics.script_seconds(script.name).start_timer();
        let call = self.script_call(script, retry, keys, args);
        let reply = self.connections.call(call).await;
        timer.observe_duration();
        // A read changes nothing but the rate limit, so its outcome is never unknown.
        let reply = if script.retry == RetrySafety::ReadsOnly {
            reply.map_err(Error::as_read_error)
        } else {
            reply
        };
        typed(script, reply?)
    }

    /// Runs a script without keys at a node.
    async fn run_at<T: FromRedisValue>(
        &self,
        node: &Node,
        script: &'static Script,
        args: &[&[u8]],
    ) -> Result<T, Error> {
        let call = self.script_call(script, script.retry, &[], args);
        typed(script, self.connections.call_at(node, call).await?)
    }

    fn script_call<'a>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        keys: &'a [String],
        args: &'a [&'a [u8]],
    ) -> ScriptCall<'a> {
        let waits = self.replicas > 0 && script.waits_for_replicas();
        ScriptCall {
            script,
            retry,
            keys,
            args,
            replicas: if waits { self.replicas } else { 0 },
        }
    }

    /// Runs a script once, for at most so long. What it does must not matter twice.
    async fn call_once<T: FromRedisValue>(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[&[u8]],
        limit: Duration,
    ) -> Result<T, Error> {
        let timer = self.metrics.script_seconds(script.name).start_timer();
        let call = self.script_call(script, RetrySafety::Harmless, keys, args);
        let reply = self.connections.call_once(call, limit).await;
        timer.observe_duration();
        typed(script, reply?)
    }
}

/// A flag as scripts take it.
fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

/// Converts the reply of a script.
fn typed<T: FromRedisValue>(script: &Script, reply: Value) -> Result<T, Error> {
    redis::from_redis_value(reply).map_err(|e| {
        let detail = format!(
            "The script {} returned a malformed reply: {e}.",
            script.name
        );
        Error::new(Code::Internal, detail)
    })
}

/// Waits for administrative commands within [`connection::TIMEOUT`]. The reason of a failure becomes the
/// detail of the error. Boxed, so that rare commands do not enlarge the futures of their callers.
fn administered<T>(
    commands: impl Future<Output = Result<T, String>>,
) -> impl Future<Output = Result<T, Error>> {
    let commands = Box::pin(commands);
    async {
        match timeout(connection::TIMEOUT, commands).await {
            Ok(done) => done.map_err(|why| Error::new(Code::Unavailable, why)),
            Err(_) => Err(Code::Unavailable.into()),
        }
    }
}
