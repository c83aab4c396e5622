//! The model: conversations and inboxes by definition, without counters; everything is counted each
//! time.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::{Retention, rfc3339};
use serde_json::{Value, json};

use super::steps::{Page, Read};
use crate::harness::models::delete;

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
    read: u64,
    /// The read mark that the peer has been told.
    told_read_seq: u64,
    delivered: u64,
    cleared_up_to: u64,
    muted: bool,
    muted_until: Option<DateTime<Utc>>,
    pub blocked: bool,
    archived: bool,
    pinned: bool,
    /// The only member of the metadata; 0 if there is none.
    metadata: u8,
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
    activity: HashMap<(usize, usize), (bool, usize)>,
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

    fn side_of(&self, who: Perspective) -> Side {
        self.sides.get(&who).copied().unwrap_or_default()
    }

    fn all(&self, who: Perspective) -> &[Value] {
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

    pub fn refuses_send(
        &mut self,
        who: Perspective,
        reply_to: Option<u64>,
    ) -> Option<(u16, &'static str)> {
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
    fn gone(&self, who: Perspective) -> u64 {
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

    /// The peer's messages after the read mark, without deleted ones, newest first.
    fn unread(&self, who: Perspective) -> Vec<Value> {
        let read = self.side_of(who).read.max(self.gone(who));
        let peer = &self.names[who.peer];
        let all = self.all(who).iter().rev().filter(|message| {
            seq(message) > read && message["from"] == **peer && message.get("deleted_at").is_none()
        });
        all.cloned().collect()
    }

    /// When the message with this seq was sent; a time before or after all if there is none.
    pub fn time(&self, who: Perspective, place: u64) -> String {
        let message = self.all(who).iter().find(|message| seq(message) == place);
        let beyond = if place == 0 { "1999" } else { "9999" };
        let beyond = format!("{beyond}-12-31T23:59:59Z");
        message.map_or(beyond, |message| {
            message["sent_at"].as_str().unwrap().into()
        })
    }

    /// The messages of a page, newest first, and where the page lies if it has none: in front of
    /// the message with this seq.
    fn history(&self, who: Perspective, page: Page, limit: u64) -> (Vec<&Value>, u64) {
        let (first, next) = (self.gone(who) + 1, self.last(who) + 1);
        let (start, end) = match page {
            Page::Newest => (next.saturating_sub(limit), next),
            Page::Before(place) => {
                let end = place.clamp(first, next);
                (end.saturating_sub(limit), end)
            }
            Page::After(place) => {
                let start = (place + 1).clamp(first, next);
                (start, start + limit)
            }
            Page::Around(place) => {
                // Equally many on each side; with an even limit, one more before.
                let place = place.min(next - 1).max(first);
                let start = place.saturating_sub(limit / 2);
                (start, (place + limit).saturating_sub(limit / 2))
            }
            Page::AroundTime(place) => {
                let time = self.time(who, place);
                let mut shown = self.all(who).iter().filter(|message| seq(message) >= first);
                let since = shown.find(|message| message["sent_at"].as_str() >= Some(&time));
                return self.history(who, Page::Around(since.map_or(next, seq)), limit);
            }
        };
        let start = start.max(first);
        let within = |message: &&Value| (start..end).contains(&seq(message));
        let history = self.all(who).iter().rev().filter(within).collect();
        (history, start.min(end))
    }

    /// A conversation as `GET` returns it.
    pub fn page(&self, who: Perspective, read: Read) -> Value {
        let (history, place) = self.history(who, read.page, read.limit);
        let (first, last) = (self.gone(who) + 1, self.last(who));
        let oldest = history.last().map_or(place, |message| seq(message));
        let latest = history.first().map_or(place - 1, |message| seq(message));
        let shown = match read.page {
            Page::Newest => 100,
            _ => 0,
        };
        let shown = read.unread_limit.unwrap_or(shown);
        let unread = self.unread(who);
        let (side, other) = (self.side_of(who), self.side_of(who.other()));
        json!({
            "user": self.names[who.user], "peer": self.names[who.peer], "history": history,
            "unread_count": unread.len(), "unread": unread[..shown.min(unread.len())], "last_seq": self.last(who),
            "read_seq": side.read, "peer_read_seq": other.told_read_seq,
            "peer_delivered_seq": other.delivered.max(other.told_read_seq),
            "muted": side.muted, "muted_until": side.muted_until.map(rfc3339), "blocked": side.blocked, "archived": side.archived,
            "pinned": side.pinned, "metadata": metadata(side.metadata),
            "next_before": (oldest > first).then_some(oldest),
            "next_after": (latest < last).then_some(latest),
        })
    }

    /// A conversation as a row of the inbox.
    pub fn state(&self, who: Perspective) -> Value {
        let (side, other) = (self.side_of(who), self.side_of(who.other()));
        let last = self.all(who).last();
        let last = last.filter(|message| seq(message) > self.gone(who));
        json!({
            "peer": self.names[who.peer], "last_message": last,
            "unread_count": self.unread(who).len(), "last_seq": self.last(who),
            "read_seq": side.read, "peer_read_seq": other.told_read_seq,
            "peer_delivered_seq": other.delivered.max(other.told_read_seq),
            "muted": side.muted, "muted_until": side.muted_until.map(rfc3339), "blocked": side.blocked, "archived": side.archived,
            "pinned": side.pinned, "metadata": metadata(side.metadata),
            "updated_at": last.map(|message| &message["sent_at"]),
        })
    }

    /// The whole inbox of a user.
    pub fn inbox(&self, user: usize) -> Value {
        let mut pairs: Vec<_> = self.activity.iter().collect();
        pairs.sort_by_key(|(_, activity)| std::cmp::Reverse(**activity));
        let mine = pairs
            .into_iter()
            .filter_map(|(&(one, other), _)| match user {
                _ if user == one => Some(Perspective { user, peer: other }),
                _ if user == other => Some(Perspective { user, peer: one }),
                _ => None,
            });
        let mut rows: Vec<_> = mine
            .filter(|who| self.last(*who) > self.side_of(*who).cleared_up_to)
            .map(|who| self.state(who))
            .collect();
        rows.sort_by_key(|row| row["pinned"] == false);
        let unread = |row: &&Value| row["unread_count"].as_u64().unwrap();
        let counted = || rows.iter().filter(|row| row["blocked"] == false);
        let muted = counted().filter(|row| row["muted"] == true);
        json!({
            "conversations": rows, "total_unread_count": counted().map(|row| unread(&row)).sum::<u64>(),
            "unread_conversations": counted().filter(|row| unread(row) > 0).count(),
            "muted_unread_count": muted.map(|row| unread(&row)).sum::<u64>(),
            "next_cursor": null,
        })
    }
}

/// The metadata with this member; null for 0.
pub fn metadata(number: u8) -> Value {
    match number {
        0 => Value::Null,
        _ => json!({"number": number}),
    }
}

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}
