//! Dispatches events from Redis to the connections of this process, and closes these at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::feed_watch::FeedWatch;
use super::registry::{ConnectionGuard, Limits, PresenceChange, Registry};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::UserId;
use crate::protocol::{CloseReason, Notification, RawEvent, RawRoomEvent};
use crate::store::{Channel, PubSub, PubSubListener, PubSubMessage, Store};

/// Maximum time over which a stopping process spreads the closing of its connections, so that clients do
/// not all reconnect at the same moment.
const CLOSE_SPREAD: Duration = Duration::from_secs(3);
/// Connections closed per millisecond, unless [`CLOSE_SPREAD`] requires more.
const CLOSED_PER_MS: usize = 2;
/// How long a stopping process waits for its connections to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Delivers events to the live connections of one process.
pub struct Hub {
    registry: Arc<Registry>,
    pubsub: PubSub,
    feed: FeedWatch,
    metrics: Arc<Metrics>,
}

impl Hub {
    /// A hub, and what its background workers consume: the pub/sub connection whose messages go to
    /// [`Hub::dispatch`], and the presence changes.
    pub fn new(
        store: &Store,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> (
        Arc<Self>,
        PubSubListener,
        mpsc::UnboundedReceiver<PresenceChange>,
    ) {
        let (pubsub, listener) = store.pubsub();
        let (registry, changes) = Registry::new(limits, pubsub.clone(), metrics.clone());
        let hub = Arc::new(Self {
            registry: Arc::new(registry),
            feed: FeedWatch::new(pubsub.clone()),
            pubsub,
            metrics,
        });
        (hub, listener, changes)
    }

    /// Registers a connection of a user. Its queue receives every event published after this
    /// returns.
    pub async fn join(&self, user: &UserId) -> Result<ConnectionGuard, Error> {
        let guard = self.registry.register(user)?;
        self.pubsub.subscribe(&Channel::User(user.clone())).await?;
        Ok(guard)
    }

    /// The connections of this process.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Wakes requests that wait for events of the feed.
    pub fn feed(&self) -> &FeedWatch {
        &self.feed
    }

    /// Maximum number of connections of this process.
    pub fn max_connections(&self) -> usize {
        self.registry.limits().total
    }

    /// Seconds between two heartbeats of a connection.
    pub fn heartbeat_s(&self) -> u8 {
        self.registry.limits().heartbeat_s
    }

    /// Whether the process is stopping and accepts no more connections.
    pub fn is_stopping(&self) -> bool {
        self.registry.is_closed()
    }

    /// Queues what arrived from Redis for the connections it concerns.
    pub fn dispatch(&self, message: PubSubMessage) {
        match message {
            PubSubMessage::Event { channel, text } => match self.deliver(&channel, text) {
                Ok(count) => self.metrics.events_delivered.inc_by(count as u64),
                Err(error) => tracing::error!(%error, "a published message is not an event"),
            },
            PubSubMessage::FeedEvent => self.feed.wake(),
            PubSubMessage::Gap => {
                self.feed.wake();
                self.registry.notify_all(&Notification::Gap);
                self.registry.report(PresenceChange::RenewAll);
            }
        }
    }

    /// Queues a published event; returns for how many connections.
    fn deliver(&self, channel: &Channel, text: String) -> Result<usize, Error> {
        match channel {
            Channel::User(user) => {
                let event = Notification::Event(Arc::new(RawEvent::parse(text)?));
                Ok(self.registry.notify(user.as_str(), &event))
            }
            Channel::Room(room) => {
                let event = RawRoomEvent::parse(room, text)?;
                let event = Notification::RoomEvent(Arc::new(event));
                Ok(self.registry.watchers().notify(room, &event))
            }
        }
    }

    /// One tick of the heartbeat, to be called every second with the number of the tick and the
    /// time in seconds since 1970. One timer serves all connections.
    pub fn heartbeat(&self, tick: usize, now: i64) {
        let slot = tick % usize::from(self.heartbeat_s());
        self.registry.notify_heartbeat(slot, now);
        self.feed.unsubscribe_if_idle();
    }

    /// Refuses new connections, asks the open ones to close, a few at a time, and waits a bounded
    /// time until they have.
    pub async fn close(&self) {
        self.registry.close();
        self.feed.wake();
        let open = self.registry.connections();
        let millis = (open.len() / CLOSED_PER_MS)
            .min(CLOSE_SPREAD.as_millis() as usize)
            .max(1);
        for some in open.chunks(open.len().div_ceil(millis).max(1)) {
            for connection in some {
                connection.notify(Notification::Close(CloseReason::Restart));
            }
            sleep(Duration::from_millis(1)).await;
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while self.registry.count() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
}
