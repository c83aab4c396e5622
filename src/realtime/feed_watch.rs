//! Wakes requests that wait for events of the feed.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify};

use crate::error::Error;
use crate::store::PubSub;

/// Seconds without a waiting request after which the process no longer listens to the feeds.
const IDLE_S: u32 = 60;

/// Listens to the feeds of all partitions while requests wait.
pub struct FeedWatch {
    pubsub: PubSub,
    appended: Notify,
    waiting: AtomicUsize,
    /// Heartbeats, of which there is one per second, since a request waited.
    idle_s: AtomicU32,
    /// Held while subscribing, so that requests that wait share the result.
    is_subscribed: Mutex<bool>,
}

/// A request that waits. Dropping it ends the waiting.
pub struct FeedWaiter<'a>(&'a FeedWatch);

impl FeedWatch {
    pub(super) fn new(pubsub: PubSub) -> Self {
        Self {
            pubsub,
            appended: Notify::new(),
            waiting: AtomicUsize::default(),
            idle_s: AtomicU32::default(),
            is_subscribed: Mutex::default(),
        }
    }

    /// Begins to wait. What is appended after this returns wakes the request.
    pub async fn join(&self) -> Result<FeedWaiter<'_>, Error> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiter = FeedWaiter(self);
        let mut is_subscribed = self.is_subscribed.lock().await;
        if !*is_subscribed {
            self.pubsub.subscribe_to_feeds().await?;
            *is_subscribed = true;
        }
        Ok(waiter)
    }

    /// Wakes all requests that wait.
    pub(super) fn wake(&self) {
        self.appended.notify_waiters();
    }

    /// To be called every second.
    pub(super) fn unsubscribe_if_idle(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.idle_s.store(0, Ordering::Release);
            return;
        }
        if self.idle_s.fetch_add(1, Ordering::AcqRel) < IDLE_S {
            return;
        }
        if let Ok(mut is_subscribed) = self.is_subscribed.try_lock()
            && *is_subscribed
            && self.waiting.load(Ordering::Acquire) == 0
        {
            self.pubsub.unsubscribe_from_feeds();
            *is_subscribed = false;
        }
    }
}

impl FeedWaiter<'_> {
    /// Ends when something is appended after this call, or the process stops.
    pub fn appended(&self) -> Notified<'_> {
        self.0.appended.notified()
    }
}

impl Drop for FeedWaiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
