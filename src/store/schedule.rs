//! The schedule of messages that expire and mutes that end, stored in Redis.

use std::ops::Range;

use super::change::ConversationRequest;
use super::script::{CLAIM_DUE, END_MUTE, EXPIRE_MESSAGE};
use super::{PARTITIONS, Store};
use crate::error::Error;
use crate::model::UserId;

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
        to: UserId,
        /// The position in the conversation.
        seq: String,
        /// The id of the message.
        id: String,
    },
    /// A mute ends.
    Mute {
        /// The user who muted the conversation.
        user: UserId,
        /// The other user.
        peer: UserId,
    },
}

impl DueEntry {
    /// Parses an entry; `None` if another version of the service wrote it.
    fn parse(entry: &str) -> Option<Self> {
        let user = |id: &str| UserId::try_from(id.to_owned()).ok();
        match entry.split(',').collect::<Vec<_>>()[..] {
            ["message", from, to, seq, id] => Some(Self::Message {
                from: user(from)?,
                to: user(to)?,
                seq: seq.to_owned(),
                id: id.to_owned(),
            }),
            ["mute", of, peer] => Some(Self::Mute {
                user: user(of)?,
                peer: user(peer)?,
            }),
            _ => None,
        }
    }
}

impl Store {
    /// All partitions, in the groups that [`Store::claim_due`] takes.
    pub fn schedule_groups() -> impl Iterator<Item = Range<u16>> {
        let first = (0..PARTITIONS).step_by(GROUP.into());
        first.map(|first| first..PARTITIONS.min(first + GROUP))
    }

    /// Some due entries of the partitions of a group. No other call returns them before their lease ends.
    pub async fn claim_due(&self, group: Range<u16>) -> Result<Vec<DueEntry>, Error> {
        let schedules = group.map(|partition| self.keys.schedule_of(partition.into()));
        let schedules: Vec<_> = schedules.collect();
        let args = [LEASE_MS, LIMIT].map(str::as_bytes);
        let due = self.run::<Vec<String>>(&CLAIM_DUE, &schedules, &args);
        let due = due.await?;
        Ok(due
            .iter()
            .filter_map(|entry| DueEntry::parse(entry))
            .collect())
    }

    /// Performs an entry and removes it from the schedule.
    pub async fn perform(&self, entry: DueEntry) -> Result<(), Error> {
        match entry {
            DueEntry::Message { from, to, seq, id } => {
                self.expire_message(&from, &to, &seq, &id).await.map(|_| ())
            }
            DueEntry::Mute { user, peer } => self.end_mute(&user, &peer).await.map(|_| ()),
        }
    }

    /// Replaces an expired message by a tombstone for both users. Returns whether there was such a message.
    pub async fn expire_message(
        &self,
        from: &UserId,
        to: &UserId,
        seq: &str,
        id: &str,
    ) -> Result<bool, Error> {
        let keys = self.scheduled_keys(from, to);
        let args = [from.as_str(), to.as_str(), seq, id].map(str::as_bytes);
        let expired = self.run::<u8>(&EXPIRE_MESSAGE, &keys, &args);
        Ok(expired.await? == 1)
    }

    /// Ends a mute if its time is over. Returns whether it did.
    pub async fn end_mute(&self, user: &UserId, peer: &UserId) -> Result<bool, Error> {
        let keys = self.scheduled_keys(user, peer);
        let args = [user.as_str(), peer.as_str()].map(str::as_bytes);
        let ended = self.run::<u8>(&END_MUTE, &keys, &args);
        Ok(ended.await? == 1)
    }

    fn scheduled_keys(&self, user: &UserId, peer: &UserId) -> Vec<String> {
        let request = ConversationRequest {
            user,
            peer,
            charge: None,
        };
        let pair = request.pair();
        let mut keys = self.change_keys(&pair, request);
        keys.push(self.keys.schedule(&pair));
        keys
    }
}
