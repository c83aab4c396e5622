//! The bounded queue of notifications of one connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::protocol::{CloseReason, Notification};

/// Maximum number of events in a queue.
const MAX_EVENTS: usize = 256;
/// Maximum size of the events in a queue, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The notifications that one connection has not taken yet. When they exceed the bound, the queue
/// drops all of them and closes the connection with `slow_consumer`; the client resumes from the
/// journal when it reconnects.
#[derive(Default)]
pub struct Queue {
    /// A `std::sync::Mutex`, because nothing awaits while holding it.
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    notifications: VecDeque<Notification>,
    events: usize,
    bytes: usize,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// Adds a notification. Does nothing after a [`Notification::Close`].
    pub fn push(&self, notification: Notification) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        match notification {
            Notification::Event(_) | Notification::RoomEvent(_) => state.push_event(notification),
            Notification::Close(reason) => state.close(reason),
            // A gap or a heartbeat that already waits is not added again.
            other if state.notifications.contains(&other) => (),
            other => state.notifications.push_back(other),
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the oldest notification. If there is none, the task is woken when one arrives.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Notification> {
        let mut state = self.lock();
        let Some(notification) = state.notifications.pop_front() else {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        if let Some(bytes) = size_of_event(&notification) {
            state.events -= 1;
            state.bytes -= bytes;
        }
        if state.notifications.is_empty() {
            // Most connections are idle, so the memory of a burst is released.
            state.notifications = VecDeque::new();
        }
        Poll::Ready(notification)
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn push_event(&mut self, event: Notification) {
        self.events += 1;
        self.bytes += size_of_event(&event).unwrap_or_default();
        if self.events > MAX_EVENTS || self.bytes > MAX_BYTES {
            self.close(CloseReason::SlowConsumer);
        } else {
            self.notifications.push_back(event);
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if reason == CloseReason::SlowConsumer {
            self.notifications = VecDeque::new();
            (self.events, self.bytes) = (0, 0);
        }
        self.notifications.push_back(Notification::Close(reason));
        self.is_closed = true;
    }
}

/// The bytes of an event, of a user or of a room; `None` if it is another notification.
fn size_of_event(notification: &Notification) -> Option<usize> {
    match notification {
        Notification::Event(event) => Some(event.json().len()),
        Notification::RoomEvent(event) => Some(event.json().len()),
        Notification::Gap | Notification::Heartbeat | Notification::Close(_) => None,
    }
}
