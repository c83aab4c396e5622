//! The model of a room: members and messages by definition, without counters; everything is counted each time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::steps::Role;
use crate::harness::models;

/// Maximum number of messages that one change drops, see `find_old_messages` of `lua/lib/retention.lua`.
const DROPPED_AT_ONCE: u64 = 16;

/// The reaction of the steps.
pub const THUMB: &str = "👍";
/// When a message was deleted is not part of the model.
const DELETED: Value = Value::Bool(true);

/// A refusal: its status and its code.
pub type Refusal = (u16, &'static str);

/// A member of the room, or a banned user.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub role: Role,
    /// The seq up to which messages are older than the joining and hidden; 0 if none are.
    floor: u64,
    pub cleared_up_to: u64,
    pub read: u64,
    pub muted: bool,
    /// The seq of the newest message when the member archived the room.
    pub archived_at: Option<u64>,
    pub pinned: bool,
}

#[derive(Clone, Debug)]
pub struct Stored {
    pub message: Value,
    /// Who may change it; nobody after the author was erased.
    author: Option<usize>,
}

#[derive(Default)]
pub struct Model {
    pub names: Vec<String>,
    /// The name of the room as a peer.
    pub room: String,
    open: bool,
    all: bool,
    pub members: BTreeMap<usize, Member>,
    /// Who is or was a member since the user was last erased.
    joined: BTreeSet<usize>,
    pub messages: Vec<Stored>,
    /// The seq of the newest message that a limit dropped.
    dropped: u64,
}

impl Model {
    pub fn of(names: Vec<String>, room: String) -> Self {
        Self {
            names,
            room,
            all: true,
            ..Self::default()
        }
    }

    pub fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// The record of a member who is not banned.
    pub fn member(&mut self, user: usize) -> Option<&mut Member> {
        let member = self.members.get_mut(&user);
        member.filter(|member| member.role != Role::Banned)
    }

    /// Why a user who is no member is refused.
    pub fn refuses_stranger(&self, user: usize) -> Option<Refusal> {
        match self.members.get(&user) {
            Some(member) if member.role != Role::Banned => None,
            Some(_) => Some((403, "NOT_A_MEMBER")),
            None if self.open => Some((403, "NOT_A_MEMBER")),
            None => Some((404, "ROOM_NOT_FOUND")),
        }
    }

    /// Why a user who reads is refused.
    pub fn refuses_reader(&self, user: usize) -> Option<Refusal> {
        let is_stranger = !self.members.contains_key(&user);
        if self.open && is_stranger {
            None
        } else {
            self.refuses_stranger(user)
        }
    }

    pub fn change(&mut self, open: bool, all: bool) {
        (self.open, self.all) = (open, all);
    }

    /// Returns whether the user was not in the list of members.
    pub fn join(&mut self, user: usize, role: Role) -> bool {
        let before = self.members.get(&user).copied();
        let last = self.last();
        let fresh = Member {
            role,
            floor: if self.all { 0 } else { last },
            cleared_up_to: 0,
            read: last,
            muted: false,
            archived_at: None,
            pinned: false,
        };
        let kept = before.filter(|member| member.role != Role::Banned && role != Role::Banned);
        let member = kept.map_or(fresh, |member| Member { role, ..member });
        self.members.insert(user, member);
        if role != Role::Banned {
            self.joined.insert(user);
        }
        before.is_none()
    }

    pub fn leave(&mut self, user: usize) {
        self.members.remove(&user);
    }

    pub fn sent(&mut self, user: usize, message: Value) {
        let author = Some(user);
        self.messages.push(Stored { message, author });
        let last = self.last();
        if let Some(member) = self.member(user) {
            member.read = last;
        }
    }

    /// Drops the messages that a limit no longer allows; 0 allows all.
    pub fn drop_old(&mut self, limit: u64) {
        if limit > 0 {
            let excess = self.last().saturating_sub(limit);
            self.dropped = self.dropped.max(excess.min(self.dropped + DROPPED_AT_ONCE));
        }
    }

    /// The seq of the newest message that a user does not see.
    pub fn hidden(&self, user: usize) -> u64 {
        let own = match self.members.get(&user) {
            Some(member) => member.floor.max(member.cleared_up_to),
            None if self.all => 0,
            None => self.last(),
        };
        own.max(self.dropped)
    }

    pub fn unread(&self, user: usize) -> u64 {
        let read = self
            .members
            .get(&user)
            .map_or(self.last(), |member| member.read);
        self.last().saturating_sub(read.max(self.hidden(user)))
    }

    pub fn mark_read(&mut self, user: usize, seq: u64) {
        let seq = seq.min(self.last());
        if let Some(member) = self.member(user) {
            member.read = member.read.max(seq);
        }
    }

    pub fn mark_unread(&mut self, user: usize, seq: u64) {
        let from = seq.max(self.hidden(user) + 1);
        if let Some(member) = self.member(user) {
            member.read = member.read.min(from - 1);
        }
    }

    pub fn clear(&mut self, user: usize) {
        let last = self.last();
        if let Some(member) = self
            .member(user)
            .filter(|member| last > member.cleared_up_to)
        {
            (member.cleared_up_to, member.read) = (last, last);
        }
    }

    pub fn set(&mut self, user: usize, archived: Option<bool>, pinned: Option<bool>) {
        let last = self.last();
        let Some(member) = self.member(user) else {
            return;
        };
        member.pinned = pinned.unwrap_or(member.pinned);
        if let Some(archived) = archived {
            member.archived_at = archived.then_some(last);
        }
    }

    /// A message that a user sees.
    pub fn message(&mut self, user: usize, seq: u64) -> Option<&mut Value> {
        if seq <= self.hidden(user) {
            return None;
        }
        let stored = self.stored(seq)?;
        Some(&mut stored.message)
    }

    fn stored(&mut self, seq: u64) -> Option<&mut Stored> {
        let index = usize::try_from(seq).unwrap().checked_sub(1)?;
        self.messages.get_mut(index)
    }

    pub fn is_author(&mut self, user: usize, seq: u64) -> bool {
        self.stored(seq)
            .is_some_and(|stored| stored.author == Some(user))
    }

    /// Why a user may not delete a message.
    pub fn refuses_deletion(&mut self, user: usize, seq: u64) -> Option<Refusal> {
        if let Some(refusal) = self.refuses_stranger(user) {
            return Some(refusal);
        }
        let (name, dropped) = (json!(self.names[user]), self.dropped);
        let is_own = self
            .stored(seq)
            .is_some_and(|stored| stored.message["from"] == name);
        let is_found = self.message(user, seq).is_some() || seq > dropped && is_own;
        if !is_found {
            return Some((404, "MESSAGE_NOT_FOUND"));
        }
        let is_admin = self
            .member(user)
            .is_some_and(|member| member.role == Role::Admin);
        (!is_admin && !self.is_author(user, seq)).then_some((403, "FORBIDDEN"))
    }

    pub fn delete(&mut self, seq: u64) -> Option<&Value> {
        let stored = self.stored(seq)?;
        models::delete(&mut stored.message, &DELETED);
        Some(&stored.message)
    }

    /// The user leaves; the user's messages lose their content, and the reactions go. The ban of a user who never was
    /// a member stays.
    pub fn erase(&mut self, user: usize) {
        if !self.joined.remove(&user) {
            return;
        }
        self.leave(user);
        let name = json!(self.names[user]);
        for stored in &mut self.messages {
            models::set_reaction(&mut stored.message, THUMB, &name, false);
            if stored.author == Some(user) {
                stored.author = None;
                models::delete(&mut stored.message, &DELETED);
            }
        }
    }
}
