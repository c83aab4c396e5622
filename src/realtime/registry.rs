//! The live connections of this process: who is connected, with how many connections, and who
//! counts as online.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::queue::Queue;
use super::watchers::Watchers;
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::{RoomName, UserId};
use crate::protocol::{CloseReason, Notification};
use crate::store::{Channel, PubSub};

/// Limits of the live connections of this process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections per user.
    pub per_user: usize,
    /// Connections in total.
    pub total: usize,
    /// Seconds between two heartbeats of a connection.
    pub heartbeat_s: u8,
}

/// A change that the store's record of who is online has to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceChange {
    /// The user has a first connection that counts as online.
    Online(UserId),
    /// The user has no such connection any more.
    Offline(UserId),
    /// The store may have been unreachable for longer than a presence lasts without renewal.
    RenewAll,
}

pub(super) struct Connection {
    queue: Queue,
    /// False for long polls, and until the handshake is complete.
    counts_as_online: AtomicBool,
    /// The second of the heartbeat interval in which this connection gets its heartbeat.
    heartbeat_slot: usize,
    /// When its token expires, in seconds since 1970.
    expires_at: AtomicI64,
    /// Whether it was asked to close because a newer connection replaced it.
    is_replaced: AtomicBool,
}

impl Connection {
    pub(super) fn notify(&self, notification: Notification) {
        self.queue.push(notification);
    }

    fn counts_as_online(&self) -> bool {
        self.counts_as_online.load(Ordering::Relaxed)
    }
}

/// The live connections of this process.
pub struct Registry {
    limits: Limits,
    pubsub: PubSub,
    watchers: Watchers,
    metrics: Arc<Metrics>,
    changes: mpsc::UnboundedSender<PresenceChange>,
    closed: AtomicBool,
    /// A `std::sync::Mutex`, because nothing awaits while holding it.
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// Users without a connection have no entry.
    by_user: HashMap<UserId, Vec<Arc<Connection>>>,
    count: usize,
    /// Spreads heartbeats evenly over the interval.
    next_heartbeat_slot: usize,
}

impl Connections {
    fn is_online(&self, user: &UserId) -> bool {
        let of_user = self.by_user.get(user.as_str());
        of_user.is_some_and(|connections| connections.iter().any(|c| c.counts_as_online()))
    }
}

impl Registry {
    /// An empty registry, and the presence changes it will report.
    pub(super) fn new(
        limits: Limits,
        pubsub: PubSub,
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::UnboundedReceiver<PresenceChange>) {
        let (changes, reported) = mpsc::unbounded_channel();
        let most = i64::try_from(limits.total).unwrap_or(i64::MAX);
        metrics.live_connections_limit.set(most);
        let registry = Self {
            limits,
            watchers: Watchers::new(pubsub.clone()),
            pubsub,
            metrics,
            changes,
            closed: AtomicBool::new(false),
            connections: Mutex::default(),
        };
        (registry, reported)
    }

    /// Registers a connection of a user until the guard is dropped.
    pub(super) fn register(self: &Arc<Self>, user: &UserId) -> Result<ConnectionGuard, Error> {
        let mut connections = self.lock();
        if self.is_closed() || connections.count >= self.limits.total {
            return Err(Code::Busy.into());
        }
        let heartbeat_slot = connections.next_heartbeat_slot;
        let of_user = connections.by_user.entry(user.clone()).or_default();
        self.make_room(of_user)?;
        let connection = Arc::new(Connection {
            queue: Queue::default(),
            counts_as_online: AtomicBool::new(false),
            heartbeat_slot,
            expires_at: AtomicI64::new(i64::MAX),
            is_replaced: AtomicBool::new(false),
        });
        of_user.push(connection.clone());
        connections.count += 1;
        connections.next_heartbeat_slot =
            (heartbeat_slot + 1) % usize::from(self.limits.heartbeat_s);
        self.metrics.live_connections.inc();
        Ok(ConnectionGuard {
            registry: self.clone(),
            user: user.clone(),
            connection,
            watched: Vec::new(),
        })
    }

    /// Asks the oldest connection of a user to close if the user has the maximum. Otherwise a user whose
    /// connections are all dead could not connect. A dead connection closes late, so the number of closing
    /// connections is limited too.
    fn make_room(&self, of_user: &[Arc<Connection>]) -> Result<(), Error> {
        let is_ending = |c: &&Arc<Connection>| c.is_replaced.load(Ordering::Relaxed);
        let ending = of_user.iter().filter(is_ending).count();
        if of_user.len() - ending < self.limits.per_user {
            return Ok(());
        }
        if ending >= self.limits.per_user {
            return Err(Code::TooManyConnections.into());
        }
        // Connections are in the order in which they were registered.
        if let Some(oldest) = of_user.iter().find(|c| !is_ending(c)) {
            oldest.is_replaced.store(true, Ordering::Relaxed);
            oldest.notify(Notification::Close(CloseReason::Replaced));
        }
        Ok(())
    }

    /// The connections that watch rooms.
    pub(super) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// The limits this registry enforces.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Refuses every further connection.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether further connections are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().count
    }

    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        self.lock().by_user.values().flatten().cloned().collect()
    }

    /// Notifies every connection of a user; returns how many there are.
    pub(super) fn notify(&self, user: &str, notification: &Notification) -> usize {
        let connections = self.lock();
        let of_user = connections.by_user.get(user).map_or(&[][..], Vec::as_slice);
        for connection in of_user {
            connection.notify(notification.clone());
        }
        of_user.len()
    }

    pub(super) fn notify_all(&self, notification: &Notification) {
        for connection in self.lock().by_user.values().flatten() {
            connection.notify(notification.clone());
        }
    }

    /// Sends a heartbeat to the connections of this slot, and to those whose token has expired.
    pub(super) fn notify_heartbeat(&self, slot: usize, now: i64) {
        for connection in self.lock().by_user.values().flatten() {
            let expired = connection.expires_at.load(Ordering::Relaxed) <= now;
            if expired || connection.heartbeat_slot == slot {
                connection.notify(Notification::Heartbeat);
            }
        }
    }

    /// Tells the connections of a user that they may have missed events.
    pub fn notify_gap(&self, user: &UserId) {
        self.notify(user.as_str(), &Notification::Gap);
    }

    /// The online users that `filter` selects.
    pub fn online_users(&self, filter: impl Fn(&UserId) -> bool) -> Vec<UserId> {
        let connections = self.lock();
        let users = connections.by_user.keys();
        let online = users.filter(|user| filter(user) && connections.is_online(user));
        online.cloned().collect()
    }

    /// Whether the user has a connection that counts as online.
    pub fn is_online(&self, user: &UserId) -> bool {
        self.lock().is_online(user)
    }

    pub(super) fn report(&self, change: PresenceChange) {
        // Nobody receives it once the presence worker has stopped.
        let _ = self.changes.send(change);
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // Nothing that can panic runs under the lock.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered connection. Dropping it unregisters the connection.
pub struct ConnectionGuard {
    registry: Arc<Registry>,
    user: UserId,
    connection: Arc<Connection>,
    /// The rooms whose events the connection receives.
    watched: Vec<RoomName>,
}

impl ConnectionGuard {
    /// Counts the user as online while this connection lasts.
    pub fn count_as_online(&self) {
        let connections = self.registry.lock();
        let is_first = !connections.is_online(&self.user);
        let counts = &self.connection.counts_as_online;
        counts.store(true, Ordering::Relaxed);
        if is_first {
            let online = PresenceChange::Online(self.user.clone());
            self.registry.report(online);
        }
    }

    /// Takes the oldest notification from the queue.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Notification> {
        self.connection.queue.poll(cx)
    }

    /// Sets when the connection's token expires. A heartbeat follows within a second of that time.
    pub fn until(&self, until: Option<i64>) {
        let expires_at = until.unwrap_or(i64::MAX);
        let stored = &self.connection.expires_at;
        stored.store(expires_at, Ordering::Relaxed);
    }

    /// Watches a room until [`ConnectionGuard::unwatch`]: the queue receives every event that is published after
    /// the returned future is done.
    pub fn watch(&mut self, room: &RoomName) -> impl Future<Output = Result<(), Error>> + use<> {
        if !self.watched.contains(room) {
            self.watched.push(room.clone());
        }
        self.registry.watchers.add(room, &self.connection)
    }

    pub fn unwatch(&mut self, room: &RoomName) {
        self.watched.retain(|watched| watched != room);
        self.registry.watchers.remove(room, &self.connection);
    }

    pub fn user(&self) -> &UserId {
        &self.user
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let registry = &self.registry;
        for room in &self.watched {
            registry.watchers.remove(room, &self.connection);
        }
        let mut connections = registry.lock();
        connections.count -= 1;
        registry.metrics.live_connections.dec();
        let Some(of_user) = connections.by_user.get_mut(self.user.as_str()) else {
            return;
        };
        of_user.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
        if of_user.is_empty() {
            connections.by_user.remove(self.user.as_str());
            // Under the lock, so that a later connection of the user subscribes after this.
            let channel = Channel::User(self.user.clone());
            registry.pubsub.unsubscribe(&channel);
        }
        if self.connection.counts_as_online() && !connections.is_online(&self.user) {
            registry.report(PresenceChange::Offline(self.user.clone()));
        }
    }
}
