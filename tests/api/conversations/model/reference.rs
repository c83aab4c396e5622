//! The model: conversations and inboxes by definition, without counters; everything is counted each time.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::{Retention, rfc3339};
use serde_json::{Value, json};

use crate::harness::models::delete;

/// A refusal: its status and its code.
pub type Refusal = (u16, &'static str);

/// A user and the peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Perspective {
    pub user: usize,
    pub peer: usize,
}

impl Perspective {
    pub fn other(self) -> Self {
        Self {
            user: self.peer,
            peer: self.user,
        }
    }

    pub fn pair(self) -> (usize, usize) {
        (self.user.min(self.peer), self.user.max(self.peer))
    }
}

/// The state of one user in a conversation.
#[expect(clippy::struct_excessive_bools, reason = "flags are independent")]
#[derive(Clone, Copy, Default)]
pub struct Side {
    pub read: u64,
    /// The read mark that the peer has been told.
    pub told_read_seq: u64,
    pub delivered: u64,
    pub cleared_up_to: u64,
    pub muted: bool,
    pub muted_until: Option<DateTime<Utc>>,
    pub blocked: bool,
    pub archived: bool,
    pub pinned: bool,
    /// The only member of the metadata; 0 if there is none.
    pub metadata: u8,
}

#[derive(Default)]
pub struct Model {
    pub names: [String; 3],
    sides: HashMap<Perspective, Side>,
    /// The messages of each pair, oldest first.
    messages: HashMap<(usize, usize), Vec<Value>>,
    /// The seq of the newest message that a limit dropped.
    dropped: HashMap<(usize, usize), u64>,
    imported: HashMap<(usize, usize), u64>,
    /// The order of the inbox: whether the last message was sent (not imported), and a number
    /// that increases.
    pub activity: HashMap<(usize, usize), (bool, usize)>,
    clock: usize,
}

impl Model {
    pub fn of(names: [String; 3]) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    pub fn side(&mut self, who: Perspective) -> &mut Side {
        self.sides.entry(who).or_default()
    }

    pub fn side_of(&self, who: Perspective) -> Side {
        self.sides.get(&who).copied().unwrap_or_default()
    }

    pub fn all(&self, who: Perspective) -> &[Value] {
        self.messages.get(&who.pair()).map_or(&[], Vec::as_slice)
    }

    pub fn last(&self, who: Perspective) -> u64 {
        self.all(who).len() as u64
    }

    /// The message with this seq, if the user may see it.
    pub fn message(&mut self, who: Perspective, seq: u64) -> Option<&mut Value> {
        if seq <= self.gone(who) {
            return None;
        }
        let index = usize::try_from(seq).unwrap().checked_sub(1)?;
        self.messages.get_mut(&who.pair())?.get_mut(index)
    }

    /// The message with this seq, if the user may see it or wrote it.
    pub fn message_to_delete(&mut self, who: Perspective, seq: u64) -> Option<&mut Value> {
        let cleared_up_to = self.side_of(who).cleared_up_to;
        if seq <= *self.dropped(who) {
            return None;
        }
        let user = json!(self.names[who.user]);
        let index = usize::try_from(seq).unwrap().checked_sub(1)?;
        let message = self.messages.get_mut(&who.pair())?.get_mut(index)?;
        (seq > cleared_up_to || message["from"] == user).then_some(message)
    }

    pub fn refuses_send(&mut self, who: Perspective, reply_to: Option<u64>) -> Option<Refusal> {
        if self.side_of(who.other()).blocked {
            return Some((403, "BLOCKED"));
        }
        let answered = reply_to.is_none_or(|seq| self.message(who, seq).is_some());
        (!answered).then_some((422, "REPLY_TO_NOT_FOUND"))
    }

    pub fn sent(&mut self, who: Perspective, message: Value) {
        self.messages.entry(who.pair()).or_default().push(message);
        let number = self.tick();
        self.activity.insert(who.pair(), (true, number));
        for who in [who, who.other()] {
            self.side(who).archived = false;
        }
    }

    /// A number larger than any before.
    pub fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }

    /// Whether every message of a conversation was imported, so that more can be.
    pub fn is_importable(&self, who: Perspective) -> bool {
        self.imported.get(&who.pair()).copied().unwrap_or_default() == self.last(who)
    }

    pub fn imported(&mut self, who: Perspective, messages: Vec<Value>) {
        self.messages
            .entry(who.pair())
            .or_default()
            .extend(messages);
        let (number, last) = (self.tick(), self.last(who));
        self.activity.insert(who.pair(), (false, number));
        self.imported.insert(who.pair(), last);
        for who in [who, who.other()] {
            self.mark_read(who, last, false);
        }
    }

    /// Makes all messages older, and moves the ends of mutes to an earlier time.
    pub fn age(&mut self, days: u32) {
        for side in self.sides.values_mut() {
            side.muted_until = side
                .muted_until
                .map(|time| time - TimeDelta::days(days.into()));
        }
        for message in self.messages.values_mut().flatten() {
            let sent_at: DateTime<Utc> = message["sent_at"].as_str().unwrap().parse().unwrap();
            message["sent_at"] = json!(rfc3339(sent_at - TimeDelta::days(days.into())));
            if let Some(time) = message["expires_at"].as_str() {
                let time: DateTime<Utc> = time.parse().unwrap();
                message["expires_at"] = json!(rfc3339(time - TimeDelta::days(days.into())));
            }
        }
    }

    pub fn mute(&mut self, who: Perspective, until: Option<&str>) {
        let side = self.side(who);
        side.muted = true;
        side.muted_until = until.map(|time| time.parse().unwrap());
    }

    pub fn unmute(&mut self, who: Perspective) {
        let side = self.side(who);
        (side.muted, side.muted_until) = (false, None);
    }

    /// Replaces messages whose time is over by tombstones, and ends mutes whose time is over.
    pub fn expire(&mut self) {
        for side in self.sides.values_mut() {
            if side.muted_until.is_some_and(|time| time <= Utc::now()) {
                (side.muted, side.muted_until) = (false, None);
            }
        }
        let now = rfc3339(Utc::now());
        for message in self.messages.values_mut().flatten() {
            let expires_at = message.get("expires_at").cloned().unwrap_or_default();
            let stands = message.get("deleted_at").is_none();
            if stands && expires_at.as_str().is_some_and(|time| *time <= *now) {
                delete(message, &expires_at);
            }
        }
    }

    /// The seq of the newest dropped message.
    pub fn dropped(&mut self, who: Perspective) -> &mut u64 {
        self.dropped.entry(who.pair()).or_default()
    }

    /// Drops expired messages as a change does, at most `most`; returns their number.
    pub fn drop_old(&mut self, who: Perspective, kept: Retention, most: u64) -> u64 {
        let since = rfc3339(Utc::now() - TimeDelta::days(kept.days.into()));
        let before = *self.dropped(who);
        let mut dropped = before;
        while let Some(message) = self.all(who).get(usize::try_from(dropped).unwrap()) {
            let too_many = kept.messages > 0 && self.last(who) - dropped > kept.messages;
            let too_old = kept.days > 0 && *message["sent_at"].as_str().unwrap() < *since;
            if dropped - before == most || !(too_many || too_old) {
                break;
            }
            dropped += 1;
        }
        *self.dropped(who) = dropped;
        dropped - before
    }

    /// The seq of the newest message that a user does not see.
    pub fn gone(&self, who: Perspective) -> u64 {
        let dropped = self.dropped.get(&who.pair()).copied();
        self.side_of(who)
            .cleared_up_to
            .max(dropped.unwrap_or_default())
    }

    pub fn mark_read(&mut self, who: Perspective, seq: u64, private: bool) {
        let seq = seq.min(self.last(who));
        let blocked = self.side_of(who.other()).blocked;
        let side = self.side(who);
        side.read = side.read.max(seq);
        if !private && !blocked && seq > side.cleared_up_to {
            side.told_read_seq = side.told_read_seq.max(seq);
        }
    }

    pub fn mark_delivered(&mut self, who: Perspective, seq: u64) {
        if self.side_of(who.other()).blocked {
            return;
        }
        let seq = seq.min(self.last(who));
        let side = self.side(who);
        side.delivered = side.delivered.max(seq);
    }

    pub fn mark_unread(&mut self, who: Perspective, seq: u64) {
        let from = seq.max(self.gone(who) + 1);
        let side = self.side(who);
        side.read = side.read.min(from - 1);
    }

    /// Changes the settings that are not `None`.
    pub fn set(
        &mut self,
        who: Perspective,
        archived: Option<bool>,
        pinned: Option<bool>,
        metadata: Option<u8>,
    ) {
        let side = self.side(who);
        side.archived = archived.unwrap_or(side.archived);
        side.pinned = pinned.unwrap_or(side.pinned);
        side.metadata = metadata.unwrap_or(side.metadata);
    }

    pub fn clear(&mut self, who: Perspective) {
        let last = self.last(who);
        self.mark_read(who, last, true);
        self.side(who).cleared_up_to = last;
    }
}
