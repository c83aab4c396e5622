//! What waits for one connection, with a bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::protocol::{CloseReason, Event, Notification};

/// Events that may wait, at most.
const EVENTS: usize = 256;
/// Bytes of events that may wait, at most.
const BYTES: usize = 1024 * 1024;

/// What waits for one connection. A connection that does not take it in time loses it all at once
/// and is told to leave: it costs no more than its bound, and resumes when it comes back.
#[derive(Default)]
pub struct Queue {
    /// A `std::sync::Mutex`, because it is held for a push or a pop, never while waiting.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    notices: VecDeque<Notification>,
    events: usize,
    bytes: usize,
    left: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// Puts something in. After a [`Notification::Leave`] nothing more goes in.
    pub fn push(&self, notice: Notification) {
        let mut waiting = self.lock();
        if waiting.left {
            return;
        }
        match notice {
            Notification::Event(event) => waiting.push_event(event),
            Notification::Leave(farewell) => waiting.leave(farewell),
            // Twice is once.
            other if waiting.notices.contains(&other) => (),
            other => waiting.notices.push_back(other),
        }
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes out what waits longest; if nothing does, the task is woken when something comes.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Notification> {
        let mut waiting = self.lock();
        let Some(notice) = waiting.notices.pop_front() else {
            match &mut waiting.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        if let Notification::Event(event) = &notice {
            waiting.events -= 1;
            waiting.bytes -= event.text().len();
        }
        if waiting.notices.is_empty() {
            // Most connections are idle; what a burst needed is not kept for them.
            waiting.notices = VecDeque::new();
        }
        Poll::Ready(notice)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic happens under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push_event(&mut self, event: Arc<Event>) {
        self.events += 1;
        self.bytes += event.text().len();
        if self.events > EVENTS || self.bytes > BYTES {
            self.leave(CloseReason::SlowConsumer);
        } else {
            self.notices.push_back(Notification::Event(event));
        }
    }

    fn leave(&mut self, farewell: CloseReason) {
        if farewell == CloseReason::SlowConsumer {
            self.notices = VecDeque::new();
            (self.events, self.bytes) = (0, 0);
        }
        self.notices.push_back(Notification::Leave(farewell));
        self.left = true;
    }
}
