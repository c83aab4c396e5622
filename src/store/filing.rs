//! Filing: the events of a room go into the inboxes of its members, by whoever holds the lease of the room.
//!
//! A change of a room returns as soon as the room has it. Filing follows within milliseconds, for some events and 64
//! members at a time. It may be repeated and interrupted at any point: the room remembers up to which event it is
//! done, and a row takes each event once. What a process leaves behind is found in the outbox.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Store;
use super::script::{FILE_ROOM_EVENTS, TAKE_ROOM_EVENTS};
use crate::error::Error;
use crate::model::{RoomName, fresh_id};

/// Maximum number of rooms that wait to be filed by this process. What exceeds it is found in the outbox.
const WAITING_LIMIT: usize = 4096;
/// Maximum number of members in one call, which takes Redis less than a millisecond for a short message.
const MEMBERS_AT_ONCE: usize = 64;
/// Maximum number of bytes that one call appends to the journals of members, unless one member's are more.
const BYTES_AT_ONCE: usize = 2 << 20;
/// Number of calls at the same time on a cluster, where members are on different nodes.
const CALLS_AT_ONCE: usize = 32;
/// How long a call may take on a cluster, so that the lease outlives a node that does not answer.
const FILE_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of batches of events after which a room waits behind others again.
const BATCHES: usize = 16;

/// A room whose events this process files.
#[derive(Clone, Debug)]
pub struct RoomFiling {
    pub room: RoomName,
    /// The name under which the process holds the lease.
    leader: String,
    /// The version up to which it has filed; empty at first.
    done: String,
    /// The members whose inboxes could not be updated.
    missed: Vec<String>,
}

impl RoomFiling {
    fn begin(room: RoomName, leader: String) -> Self {
        Self {
            room,
            leader,
            done: String::new(),
            missed: Vec::new(),
        }
    }
}

/// What became of a room that is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filed {
    /// Nothing is left, or another process files.
    Done,
    /// There are more events. The room waits to be filed by this process.
    Later,
    /// The room was deleted, everybody was told, and nothing of it is left.
    Deleted,
}

/// The rooms that wait to be filed by this process.
pub(super) struct Filings {
    process: String,
    count: AtomicU64,
    sender: mpsc::Sender<RoomFiling>,
    receiver: Mutex<Option<mpsc::Receiver<RoomFiling>>>,
}

impl Default for Filings {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_LIMIT);
        Self {
            process: fresh_id(Utc::now()).simple().to_string(),
            count: AtomicU64::new(0),
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl Filings {
    /// A new name under which to hold a lease.
    pub(super) fn leader(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        [&self.process, "-", &number].concat()
    }

    /// Lets this process file a room whose lease it has.
    pub(super) fn request(&self, room: RoomName, leader: String) {
        self.queue(RoomFiling::begin(room, leader));
    }

    fn queue(&self, filing: RoomFiling) {
        // If too many wait, the lease ends, and the room is found in the outbox.
        let _ = self.sender.try_send(filing);
    }
}

/// The reply of `lua/rooms/take_room_events.lua`.
type TakenReply = (String, Vec<Vec<u8>>, Vec<(String, Vec<u8>)>, u8);

/// Events that are to be filed, and the state of the room at the same moment.
pub struct TakenEvents {
    state: String,
    /// For each event its version, type, message and user.
    events: Vec<Vec<u8>>,
    members: Vec<MemberInbox>,
    deleted: bool,
}

/// A member with its record, see `lua/lib/room.lua`.
#[derive(Clone)]
pub struct MemberInbox {
    pub user: String,
    pub record: Vec<u8>,
}

/// Number of arguments of an event.
const EVENT_ARGS: usize = 4;

impl Store {
    /// The rooms whose lease this process gets. Returned once.
    pub fn filings(&self) -> Option<mpsc::Receiver<RoomFiling>> {
        let receiver = self.filings.receiver.lock();
        receiver.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Files the events of a room now, unless another process does so.
    pub async fn file_room(&self, room: &RoomName) -> Result<Filed, Error> {
        let filing = RoomFiling::begin(room.clone(), self.filings.leader());
        self.continue_filing(filing).await
    }

    /// Files the next events of a room.
    pub async fn continue_filing(&self, mut filing: RoomFiling) -> Result<Filed, Error> {
        for _ in 0..BATCHES {
            let Some(taken) = self.take_room_events(&filing).await? else {
                return Ok(Filed::Done);
            };
            if taken.deleted {
                self.erase_room(&filing.room).await?;
                return Ok(Filed::Deleted);
            }
            filing.done = taken.last_version();
            filing.missed = self.file_taken(&filing.room, taken).await?;
        }
        self.filings.queue(filing);
        Ok(Filed::Later)
    }

    /// Takes the next events of a room, and confirms those before. `None` if there are none, or if another process
    /// files.
    pub async fn take_room_events(
        &self,
        filing: &RoomFiling,
    ) -> Result<Option<TakenEvents>, Error> {
        let RoomFiling {
            room,
            leader,
            done,
            missed,
        } = filing;
        let [_, meta, members, events, outbox, lease, _] = self.keys.room(room);
        let keys = [meta, members, events, outbox, lease];
        let mut args = [room.as_str(), leader, done].map(str::as_bytes).to_vec();
        args.extend(missed.iter().map(String::as_bytes));
        let taken: Option<TakenReply> = self.run(&TAKE_ROOM_EVENTS, &keys, &args).await?;
        Ok(taken.map(|(state, events, members, deleted)| TakenEvents {
            state,
            events,
            members: members
                .into_iter()
                .map(|(user, record)| MemberInbox { user, record })
                .collect(),
            deleted: deleted == 1,
        }))
    }

    /// Files events in the inboxes of all members. Returns those whose inboxes could not be updated.
    async fn file_taken(&self, room: &RoomName, taken: TakenEvents) -> Result<Vec<String>, Error> {
        let bytes: usize = taken.events.iter().map(Vec::len).sum();
        let at_once = (BYTES_AT_ONCE / bytes.max(1)).clamp(1, MEMBERS_AT_ONCE);
        if self.two_steps {
            return Ok(self.file_in_partitions(room, taken, at_once).await);
        }
        for members in taken.members.chunks(at_once) {
            self.file_room_events(room, &taken.state, "", &taken.events, members)
                .await?;
        }
        Ok(Vec::new())
    }

    /// Files events on a cluster: each partition is a call of its own, and its node can be down.
    async fn file_in_partitions(
        &self,
        room: &RoomName,
        taken: TakenEvents,
        at_once: usize,
    ) -> Vec<String> {
        let mut partitions = BTreeMap::<&str, Vec<MemberInbox>>::new();
        for member in taken.members {
            let partition = self.keys.tag(&member.user);
            partitions.entry(partition).or_default().push(member);
        }
        let parts = partitions.values().flat_map(|part| part.chunks(at_once));
        let parts: Vec<_> = parts.map(<[MemberInbox]>::to_vec).collect();
        let calls = parts.into_iter().map(async |members| {
            let filed = self.file_room_events(room, &taken.state, "", &taken.events, &members);
            match timeout(FILE_TIMEOUT, filed).await {
                Ok(Ok(())) => Vec::new(),
                _ => members,
            }
        });
        let missed = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
        let missed: Vec<_> = missed.collect().await;
        let missed = missed.into_iter().flatten().map(|member| member.user);
        missed.collect()
    }

    /// Files events in the inboxes of some members, which on a cluster are of one partition. Without events, `kind` is the
    /// type of the event of members who have changed.
    pub async fn file_room_events(
        &self,
        room: &RoomName,
        state: &str,
        kind: &str,
        events: &[Vec<u8>],
        members: &[MemberInbox],
    ) -> Result<(), Error> {
        let keys = members
            .iter()
            .flat_map(|member| self.keys.user(&member.user));
        let mut keys: Vec<_> = keys.collect();
        if let Some(member) = members.first() {
            keys.extend(self.badge_keys(&member.user));
        }
        let count = (events.len() / EVENT_ARGS).to_string();
        let mut args = [room.as_str(), state, kind, &count]
            .map(str::as_bytes)
            .to_vec();
        args.extend(events.iter().map(Vec::as_slice));
        for member in members {
            args.extend([member.user.as_bytes(), member.record.as_slice()]);
        }
        self.run::<u8>(&FILE_ROOM_EVENTS, &keys, &args)
            .await
            .map(|_| ())
    }
}

impl TakenEvents {
    /// The version of the last event.
    fn last_version(&self) -> String {
        let events = self.events.chunks(EVENT_ARGS).last();
        let version = events.and_then(|event| event.first());
        version.map_or_else(String::new, |version| {
            String::from_utf8_lossy(version).into_owned()
        })
    }
}
