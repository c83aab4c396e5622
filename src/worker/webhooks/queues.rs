//! What is to be sent next: the events of each partition one after another, the partitions in turn.
//!
//! Times are milliseconds of any clock that does not run backwards.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::model::{RawDeadLetter, RawFeedEvent};
use crate::store::FailedEvent;

/// The queue of the dead letters that are sent again.
const DEAD_LETTERS: u16 = u16::MAX;

/// The events of each partition, and the dead letters. One of each queue is sent at a time, so that order holds.
#[derive(Default)]
pub(super) struct EventQueues {
    by_number: BTreeMap<u16, EventQueue>,
    /// What other processes could not send.
    failed: HashMap<u16, FailedEvent>,
    /// The queue that was last in turn.
    turn: u16,
}

#[derive(Default)]
struct EventQueue {
    events: VecDeque<RawFeedEvent>,
    is_busy: bool,
    /// How often the first event failed.
    failed: u64,
    /// When the first event may be sent again.
    not_before: u64,
}

/// An event to send.
#[derive(Clone, Debug)]
pub(super) struct QueuedEvent {
    queue: u16,
    /// Its `attempt` is the number of this attempt.
    pub event: RawFeedEvent,
}

/// What became of an event that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is no longer to be sent.
    Done,
    /// It is to be sent again when the endpoint takes events.
    Again,
    /// It has failed as often as this, and waits until then.
    Waits { failed: u64, until: u64 },
    /// The queue no longer has its events.
    Lost,
}

impl QueuedEvent {
    /// Whether the event is a dead letter that is sent again.
    pub(super) fn is_dead_letter(&self) -> bool {
        self.queue == DEAD_LETTERS
    }
}

impl EventQueue {
    fn may_send(&self, now: u64) -> bool {
        !self.is_busy && !self.events.is_empty() && self.not_before <= now
    }
}

impl EventQueues {
    /// Notes what other processes could not send.
    pub(super) fn note_failed(&mut self, failed: Vec<FailedEvent>, now: u64) {
        for mut event in failed {
            event.wait_ms += now;
            self.failed.insert(event.id.partition(), event);
        }
    }

    /// Adds events, those of a partition in order.
    pub(super) fn add(&mut self, events: Vec<RawFeedEvent>) {
        for event in events {
            let partition = event.id.partition();
            let queue = self.by_number.entry(partition).or_default();
            if queue.events.is_empty()
                && let Some(failed) = self.failed.remove(&partition)
                && failed.id == event.id
            {
                (queue.failed, queue.not_before) = (failed.count, failed.wait_ms);
            }
            queue.events.push_back(event);
        }
    }

    /// Adds dead letters that are to be sent again.
    pub(super) fn add_dead_letters(&mut self, letters: Vec<RawDeadLetter>) {
        let queue = self.by_number.entry(DEAD_LETTERS).or_default();
        queue
            .events
            .extend(letters.into_iter().map(|letter| letter.event));
    }

    /// Whether there are no dead letters to send again.
    pub(super) fn is_without_dead_letters(&self) -> bool {
        let queue = self.by_number.get(&DEAD_LETTERS);
        queue.is_none_or(|queue| queue.events.is_empty())
    }

    /// Those of some partitions of which no events are here.
    pub(super) fn empty_of(&self, partitions: &BTreeSet<u16>) -> BTreeSet<u16> {
        let is_empty = |partition: &&u16| {
            let queue = self.by_number.get(partition);
            queue.is_none_or(|queue| queue.events.is_empty())
        };
        partitions.iter().filter(is_empty).copied().collect()
    }

    /// The number of events that do not wait.
    pub(super) fn len(&self, now: u64) -> usize {
        let queues = self.by_number.values();
        let queues = queues.filter(|queue| queue.not_before <= now);
        queues.map(|queue| queue.events.len()).sum()
    }

    /// The next event to send. A probe does not wait, so that each queue is probed in turn.
    pub(super) fn next(&mut self, now: u64, is_probe: bool) -> Option<QueuedEvent> {
        let now = if is_probe { u64::MAX } else { now };
        let turn = self.turn;
        let (before, after): (Vec<_>, Vec<_>) = self
            .by_number
            .iter_mut()
            .filter(|(_, queue)| queue.may_send(now))
            .partition(|(number, _)| **number <= turn);
        let (number, queue) = after.into_iter().chain(before).next()?;
        queue.is_busy = true;
        self.turn = *number;
        let mut event = queue.events.front()?.clone();
        event.attempt = 1 + if *number == DEAD_LETTERS {
            event.attempt
        } else {
            queue.failed
        };
        Some(QueuedEvent {
            queue: *number,
            event,
        })
    }

    /// An event was sent.
    pub(super) fn settle(&mut self, sent: &QueuedEvent, settled: Settled) {
        let Some(queue) = self.by_number.get_mut(&sent.queue) else {
            return;
        };
        queue.is_busy = false;
        match settled {
            // The events behind one that failed are read again later, so that queues that wait take little memory.
            Settled::Again => return queue.events.truncate(1),
            Settled::Waits { failed, until } => {
                (queue.failed, queue.not_before) = (failed, until);
                return queue.events.truncate(1);
            }
            Settled::Done => drop(queue.events.pop_front()),
            Settled::Lost => queue.events.clear(),
        }
        (queue.failed, queue.not_before) = (0, 0);
    }

    /// When the next queue ends to wait.
    pub(super) fn wakes_at(&self, now: u64) -> Option<u64> {
        let times = self.by_number.values().map(|queue| queue.not_before);
        times.filter(|time| *time > now).min()
    }
}
