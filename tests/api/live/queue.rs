//! The queue of a connection: its limits, and what happens when it is full.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use duologue::protocol::{CloseReason, Notification, RawEvent};
use duologue::realtime::Queue;
use serde_json::json;

/// An event of this many bytes.
fn event(bytes: usize) -> Notification {
    let empty = json!({"type": "x", "body": ""}).to_string().len();
    let text = json!({"type": "x", "body": "b".repeat(bytes - empty)});
    Notification::Event(Arc::new(RawEvent::parse(text.to_string()).unwrap()))
}

/// Everything in the queue.
fn taken(queue: &Queue) -> Vec<Notification> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut taken = Vec::new();
    while let Poll::Ready(notice) = queue.poll(&mut cx) {
        taken.push(notice);
    }
    taken
}

#[test]
fn a_full_queue_closes_the_connection() {
    for (bytes, fit) in [(100, 256), (8 * 1024, 128)] {
        let queue = Queue::default();
        for _ in 0..fit {
            queue.push(event(bytes));
        }
        assert_eq!(taken(&queue).len(), fit, "of {bytes} bytes");
        // Taking events makes room for others.
        for _ in 0..=fit {
            queue.push(event(bytes));
        }
        queue.push(event(bytes));
        assert_eq!(
            taken(&queue),
            [Notification::Close(CloseReason::SlowConsumer)]
        );
    }
}

#[test]
fn a_queued_gap_or_heartbeat_is_not_queued_twice() {
    let queue = Queue::default();
    for _ in 0..3 {
        for notice in [Notification::Heartbeat, event(100), Notification::Gap] {
            queue.push(notice);
        }
    }
    let waiting = taken(&queue);
    let count = |wanted: &Notification| waiting.iter().filter(|notice| *notice == wanted).count();
    assert_eq!(
        (count(&Notification::Heartbeat), count(&Notification::Gap)),
        (1, 1)
    );
    assert_eq!(waiting.len(), 5);
}

#[test]
fn a_close_is_delivered_after_earlier_events_only() {
    let queue = Queue::default();
    queue.push(event(100));
    queue.push(Notification::Close(CloseReason::Restart));
    queue.push(event(200));
    let told = taken(&queue);
    assert_eq!(
        told,
        [event(100), Notification::Close(CloseReason::Restart)]
    );
}
