//! The connections of this process that watch rooms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::registry::Connection;
use crate::error::Error;
use crate::model::RoomName;
use crate::protocol::Notification;
use crate::store::{Channel, PubSub};

/// The watchers of each room, by the address of their connection: many may leave a room at once, and finding one
/// among them must not take longer the more there are.
type OfRoom = HashMap<usize, Arc<Connection>>;

/// The connections that watch rooms. They have a lock of their own, so that an event for many watchers delays no
/// event for a user.
pub(super) struct Watchers {
    pubsub: PubSub,
    /// Rooms without a watcher have no entry. A `std::sync::Mutex`, because nothing awaits while holding it.
    by_room: Mutex<HashMap<RoomName, OfRoom>>,
}

impl Watchers {
    pub(super) fn new(pubsub: PubSub) -> Self {
        Self {
            pubsub,
            by_room: Mutex::default(),
        }
    }

    /// Adds a watcher, who receives every event published after the returned future is done.
    pub(super) fn add(
        &self,
        room: &RoomName,
        connection: &Arc<Connection>,
    ) -> impl Future<Output = Result<(), Error>> + use<> {
        let mut by_room = self.lock();
        let of_room = by_room.entry(room.clone()).or_default();
        of_room.insert(address(connection), connection.clone());
        let (pubsub, channel) = (self.pubsub.clone(), Channel::Room(room.clone()));
        async move { pubsub.subscribe(&channel).await }
    }

    pub(super) fn remove(&self, room: &RoomName, connection: &Arc<Connection>) {
        let mut by_room = self.lock();
        let Some(of_room) = by_room.get_mut(room) else {
            return;
        };
        of_room.remove(&address(connection));
        if of_room.is_empty() {
            by_room.remove(room);
            // Under the lock, so that a later watcher subscribes after this.
            self.pubsub.unsubscribe(&Channel::Room(room.clone()));
        }
    }

    /// Notifies every watcher of a room; returns how many there are.
    pub(super) fn notify(&self, room: &RoomName, notification: &Notification) -> usize {
        let by_room = self.lock();
        let Some(of_room) = by_room.get(room) else {
            return 0;
        };
        for connection in of_room.values() {
            connection.notify(notification.clone());
        }
        of_room.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, OfRoom>> {
        // Nothing that can panic runs under the lock.
        self.by_room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(connection: &Arc<Connection>) -> usize {
    Arc::as_ptr(connection).addr()
}
