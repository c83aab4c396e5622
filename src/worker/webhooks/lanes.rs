//! What is to be sent next: the events of each partition one after another, the partitions in turn.
//!
//! Times are milliseconds of any clock that does not run backwards.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::model::{RawDeadLetter, RawFeedEvent};
use crate::store::FailedEvent;

/// The lane of the dead letters that are sent again.
const DEAD_LETTERS: u16 = u16::MAX;

/// The events of each partition, and the dead letters. One of each lane is sent at a time, so that order holds.
#[derive(Default)]
pub(super) struct Lanes {
    by_number: BTreeMap<u16, Lane>,
    /// What other processes could not send.
    failed: HashMap<u16, FailedEvent>,
    /// The lane that was last in turn.
    turn: u16,
}

#[derive(Default)]
struct Lane {
    events: VecDeque<RawFeedEvent>,
    is_busy: bool,
    /// How often the first event failed.
    failed: u64,
    /// When the first event may be sent again.
    not_before: u64,
}

/// An event to send.
#[derive(Clone, Debug)]
pub(super) struct LaneEvent {
    lane: u16,
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
    /// The lane no longer has its events.
    Lost,
}

impl LaneEvent {
    /// Whether the event is a dead letter that is sent again.
    pub(super) fn is_dead_letter(&self) -> bool {
        self.lane == DEAD_LETTERS
    }
}

impl Lane {
    fn may_send(&self, now: u64) -> bool {
        !self.is_busy && !self.events.is_empty() && self.not_before <= now
    }
}

impl Lanes {
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
            let lane = self.by_number.entry(partition).or_default();
            if lane.events.is_empty()
                && let Some(failed) = self.failed.remove(&partition)
                && failed.id == event.id
            {
                (lane.failed, lane.not_before) = (failed.count, failed.wait_ms);
            }
            lane.events.push_back(event);
        }
    }

    /// Adds dead letters that are to be sent again.
    pub(super) fn add_dead_letters(&mut self, letters: Vec<RawDeadLetter>) {
        let lane = self.by_number.entry(DEAD_LETTERS).or_default();
        lane.events
            .extend(letters.into_iter().map(|letter| letter.event));
    }

    /// Whether there are no dead letters to send again.
    pub(super) fn is_without_dead_letters(&self) -> bool {
        let lane = self.by_number.get(&DEAD_LETTERS);
        lane.is_none_or(|lane| lane.events.is_empty())
    }

    /// Those of some partitions of which no events are here.
    pub(super) fn empty_of(&self, partitions: &BTreeSet<u16>) -> BTreeSet<u16> {
        let is_empty = |partition: &&u16| {
            let lane = self.by_number.get(partition);
            lane.is_none_or(|lane| lane.events.is_empty())
        };
        partitions.iter().filter(is_empty).copied().collect()
    }

    /// The number of events that do not wait.
    pub(super) fn len(&self, now: u64) -> usize {
        let lanes = self.by_number.values();
        let lanes = lanes.filter(|lane| lane.not_before <= now);
        lanes.map(|lane| lane.events.len()).sum()
    }

    /// The next event to send. A probe does not wait, so that each lane is probed in turn.
    pub(super) fn next(&mut self, now: u64, is_probe: bool) -> Option<LaneEvent> {
        let now = if is_probe { u64::MAX } else { now };
        let turn = self.turn;
        let (before, after): (Vec<_>, Vec<_>) = self
            .by_number
            .iter_mut()
            .filter(|(_, lane)| lane.may_send(now))
            .partition(|(number, _)| **number <= turn);
        let (number, lane) = after.into_iter().chain(before).next()?;
        lane.is_busy = true;
        self.turn = *number;
        let mut event = lane.events.front()?.clone();
        event.attempt = 1 + if *number == DEAD_LETTERS {
            event.attempt
        } else {
            lane.failed
        };
        Some(LaneEvent {
            lane: *number,
            event,
        })
    }

    /// An event was sent.
    pub(super) fn settle(&mut self, sent: &LaneEvent, settled: Settled) {
        let Some(lane) = self.by_number.get_mut(&sent.lane) else {
            return;
        };
        lane.is_busy = false;
        match settled {
            // The events behind one that failed are read again later, so that lanes that wait take little memory.
            Settled::Again => return lane.events.truncate(1),
            Settled::Waits { failed, until } => {
                (lane.failed, lane.not_before) = (failed, until);
                return lane.events.truncate(1);
            }
            Settled::Done => drop(lane.events.pop_front()),
            Settled::Lost => lane.events.clear(),
        }
        (lane.failed, lane.not_before) = (0, 0);
    }

    /// When the next lane ends to wait.
    pub(super) fn wakes_at(&self, now: u64) -> Option<u64> {
        let times = self.by_number.values().map(|lane| lane.not_before);
        times.filter(|time| *time > now).min()
    }
}
