//! The place of a connection among the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::hub::Hub;
use super::queue::Queue;
use crate::model::UserId;
use crate::protocol::Notification;

/// What changed at this process.
pub enum Change {
    /// The first connection of a user.
    Came(UserId),
    /// The end of the last one.
    Went(UserId),
    /// The store may have been away, for longer than its leases.
    Back,
    /// The process stops, and has no connections any more; it waits until that is said of everybody.
    Stops(oneshot::Sender<()>),
}

/// A connection.
pub(super) struct Connection {
    /// What waits for it.
    pub(super) queue: Queue,
    /// Whether it shows that the user is there; a poll does not, nor one that is not let in yet.
    pub(super) shows: AtomicBool,
    /// In which second of a heartbeat its turn is.
    pub(super) turn: usize,
    /// When its token ends, in seconds since 1970.
    pub(super) until: AtomicI64,
}

/// The place of a connection among the others; given up when dropped.
pub struct ConnectionGuard {
    pub(super) hub: Arc<Hub>,
    pub(super) user: UserId,
    pub(super) member: Arc<Connection>,
}

impl Connection {
    /// See the field.
    pub(super) fn counts_as_online(&self) -> bool {
        self.shows.load(Ordering::Relaxed)
    }
}

impl ConnectionGuard {
    /// Shows from now on that the user is there.
    pub fn count_as_online(&self) {
        let members = self.hub.lock();
        let came = !members.count_as_online(&self.user);
        self.member.shows.store(true, Ordering::Relaxed);
        if came {
            let _ = self.hub.changes.send(Change::Came(self.user.clone()));
        }
    }

    /// Takes out what waits for this connection.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Notification> {
        self.member.queue.poll(cx)
    }

    /// Waits for what comes next for this connection.
    pub async fn next(&self) -> Notification {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Has the end of the connection's token looked at then.
    pub fn until(&self, until: Option<i64>) {
        let until = until.unwrap_or(i64::MAX);
        self.member.until.store(until, Ordering::Relaxed);
    }

    /// Whose connection it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let hub = &self.hub;
        let mut members = hub.lock();
        members.count -= 1;
        hub.metrics.live_connections.dec();
        let Some(of_user) = members.users.get_mut(self.user.as_str()) else {
            return;
        };
        of_user.retain(|member| !Arc::ptr_eq(member, &self.member));
        if of_user.is_empty() {
            members.users.remove(self.user.as_str());
            // Under the lock, so that whoever comes now makes a later wish.
            hub.live.leave(&self.user);
        }
        if self.member.counts_as_online() && !members.count_as_online(&self.user) {
            let _ = hub.changes.send(Change::Went(self.user.clone()));
        }
    }
}
