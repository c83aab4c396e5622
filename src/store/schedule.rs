//! The schedule of messages that expire and mutes that end, stored in Redis.

use std::ops::Range;

use futures_util::future::join_all;
use redis::FromRedisValue;

use super::archived::ArchiveCalls;
use super::change::ConversationRequest;
use super::script::{CLAIM_DUE, END_MUTE, EXPIRE_MESSAGE, Script};
use super::{PARTITIONS, RateLimited, Store};
use crate::error::Error;
use crate::model::{Pair, Peer, UserId};

/// Milliseconds for which an entry is not returned again. An entry that failed is returned after this time.
const LEASE_MS: &str = "5000";
/// Maximum number of entries of a partition that one call returns.
const LIMIT: &str = "16";
/// Number of partitions in one call, which takes Redis 0.1 ms if nothing is due and 1.5 ms at most.
const GROUP: u16 = 64;

/// A due entry of the schedule; see `lua/lib/schedule.lua`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueEntry {
    Message {
        from: UserId,
        to: Peer,
        /// The position in the conversation.
        seq: String,
        /// The id of the message.
        id: String,
    },
    /// A mute ends.
    Mute {
        /// The user who muted the conversation.
        user: UserId,
        /// The other user, or a room.
        peer: Peer,
    },
}

impl DueEntry {
    /// Parses an entry; `None` if another version of the service wrote it.
    fn parse(entry: &str) -> Option<Self> {
        let user = |id: &str| UserId::try_from(id.to_owned()).ok();
        let peer = |name: &str| Peer::try_from(name.to_owned()).ok();
        match entry.split(',').collect::<Vec<_>>()[..] {
            ["message", from, to, seq, id] => Some(Self::Message {
                from: user(from)?,
                to: peer(to)?,
                seq: seq.to_owned(),
                id: id.to_owned(),
            }),
            ["mute", of, name] => Some(Self::Mute {
                user: user(of)?,
                peer: peer(name)?,
            }),
            _ => None,
        }
    }
}

impl Store {
    /// All partitions, in groups of which one call claims entries.
    pub fn partition_groups() -> impl Iterator<Item = Range<u16>> {
        let first = (0..PARTITIONS).step_by(GROUP.into());
        first.map(|first| first..PARTITIONS.min(first + GROUP))
    }

    /// Some due entries of the schedules of a group of partitions. No other call returns them before their lease ends.
    pub async fn claim_entries(&self, group: Range<u16>) -> Result<Vec<DueEntry>, Error> {
        let schedules = group.map(|partition| self.keys.schedule_of(partition.into()));
        let entries = self.claim_due(schedules.collect()).await?;
        let entries = entries.iter();
        Ok(entries.filter_map(|entry| DueEntry::parse(entry)).collect())
    }

    /// Some due entries of schedules, and of other sets of the same form.
    pub async fn claim_due(&self, schedules: Vec<String>) -> Result<Vec<String>, Error> {
        // On a cluster, partitions can be on different nodes, of which some may fail.
        let at_once = if self.two_steps { 1 } else { schedules.len() };
        let calls = schedules.chunks(at_once).map(async |schedules| {
            let args = [LEASE_MS, LIMIT].map(str::as_bytes);
            self.run::<Vec<String>>(&CLAIM_DUE, schedules, &args).await
        });
        let (found, failed): (Vec<_>, Vec<_>) =
            join_all(calls).await.into_iter().partition(Result::is_ok);
        let found: Vec<_> = found.into_iter().flatten().flatten().collect();
        match failed.into_iter().find_map(Result::err) {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Performs an entry and removes it from the schedule.
    pub async fn perform(&self, entry: DueEntry) -> Result<(), Error> {
        match entry {
            DueEntry::Message { from, to, seq, id } => match to {
                Peer::User(to) => self.expire_message(&from, &to, &seq, &id).await,
                Peer::Room(room) => self.expire_room_message(&from, &room, &seq, &id).await,
            },
            DueEntry::Mute { user, peer } => match peer {
                Peer::User(peer) => self.end_mute(&user, &peer).await,
                Peer::Room(room) => self.end_room_mute(&user, &room).await,
            },
        }
        .map(|_| ())
    }

    /// Replaces an expired message by a tombstone for both users. Returns whether there was such a message.
    pub async fn expire_message(
        &self,
        from: &UserId,
        to: &UserId,
        seq: &str,
        id: &str,
    ) -> Result<bool, Error> {
        let pair = Pair::of(from, to);
        let mut calls = ArchiveCalls::of(pair.as_str());
        loop {
            let args = [from.as_str(), to.as_str(), seq, id, &calls.held];
            let garbage = Some(self.keys.garbage(pair.as_str()));
            let reply = self.perform_entry(&EXPIRE_MESSAGE, (from, to), garbage, &args);
            if let Some(expired) = calls.change::<u8>(self, reply.await?).await? {
                return Ok(expired.value == 1);
            }
        }
    }

    /// Ends a mute if its time is over. Returns whether it did.
    pub async fn end_mute(&self, user: &UserId, peer: &UserId) -> Result<bool, Error> {
        let args = [user.as_str(), peer.as_str()];
        let ended = self.perform_entry::<u8>(&END_MUTE, (user, peer), None, &args);
        Ok(ended.await?.value == 1)
    }

    /// Runs the script of an entry, which may have a further key.
    async fn perform_entry<T: FromRedisValue>(
        &self,
        script: &'static Script,
        (user, peer): (&UserId, &UserId),
        more_key: Option<String>,
        args: &[&str],
    ) -> Result<RateLimited<T>, Error> {
        let charge = None;
        let request = ConversationRequest { user, peer, charge };
        let pair = request.pair();
        let mut keys = self.change_keys(&pair, request);
        keys.push(self.keys.schedule(pair.as_str()));
        keys.extend(more_key);
        let args = args.iter().map(|arg| arg.as_bytes()).collect();
        self.run_change(script, script.retry, request, keys, args, None)
            .await
    }
}
