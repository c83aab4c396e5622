//! The second step of a change on a cluster: updates of inboxes, and the outbox that finds those that failed.
//!
//! A change of a conversation notes its pair in the outbox of the partition. When both inboxes have been updated, the
//! pair is removed, together with others, by [`Store::confirm_updates`]. Pairs that stay are found and updated again,
//! by any process. An update takes absolute state, so repeating it does no harm.
//!
//! Rooms stand in the outbox on one Redis too, until their events are filed, and on a cluster so do members of rooms.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::change::{ConversationRequest, InboxUpdates};
use super::keys::PARTITIONS;
use super::script::{CONFIRM_UPDATES, FIND_UNCONFIRMED, FIND_UNCONFIRMED_OF_USER, UPDATE_INBOX};
use crate::error::{Code, Error};
use crate::model::{Pair, RoomName, UserId};

/// How long a request waits for the update of an inbox. A change that is stored is acknowledged, even if an inbox
/// cannot be updated now.
const UPDATE_TIMEOUT: Duration = Duration::from_millis(300);
/// The outcome of an update that found no row.
const ABSENT: &str = "absent";
/// Maximum number of entries that one call confirms.
const CONFIRMED_AT_ONCE: usize = 1000;
/// Maximum number of unconfirmed entries of a partition that one call returns.
const UNCONFIRMED_LIMIT: &str = "100";
/// Approximate number of pairs in one step of the search for those of a user.
const SEARCH_STEP: &str = "1000";
/// Number of partitions that are searched for a user at the same time.
const SEARCHED_AT_ONCE: usize = 32;
/// Maximum number of rows that wait for their repair. More are found when they are listed again.
const REPAIR_LIMIT: usize = 1000;

/// A pair of users whose conversation has changed.
type Users = (UserId, UserId);

/// What an outbox contains, see `lua/lib/outbox.lua`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutboxEntry {
    /// Two users whose conversation has changed.
    Pair(UserId, UserId),
    /// A room with events that are not filed.
    Room(RoomName),
    /// A member of a room whose inbox is not updated.
    Member(RoomName, UserId),
}

impl OutboxEntry {
    /// Reads an entry; `None` if another version of the service wrote it.
    fn parse(entry: &str) -> Option<Self> {
        match entry.split_once(',') {
            None => RoomName::parse(entry).map(Self::Room),
            Some((name, user)) => match RoomName::parse(name) {
                None => Pair::parse(entry).map(|(one, other)| Self::Pair(one, other)),
                Some(room) => {
                    let user = UserId::try_from(user.to_owned()).ok()?;
                    Some(Self::Member(room, user))
                }
            },
        }
    }

    /// The conversation of an entry, whose partition has it.
    fn conversation(entry: &str) -> &str {
        match entry.split_once(',') {
            Some((room, _)) if RoomName::parse(room).is_some() => room,
            _ => entry,
        }
    }
}

/// The entry of a member of a room, as [`OutboxEntry::parse`] reads it.
pub(super) fn member_entry(room: &RoomName, user: &UserId) -> String {
    [room.as_str(), ",", user.as_str()].concat()
}

/// How a row differs from its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// The row missed a change.
    Behind,
    /// The row has a change that a failover took from the conversation.
    Ahead,
}

/// What a process knows about inboxes until it passes it on to Redis.
#[derive(Default)]
pub(super) struct Outbox {
    /// The entries whose inboxes were updated, each with the version that they have.
    confirmed: Mutex<HashMap<String, String>>,
    /// The conversations that differ from a row.
    diverged: Mutex<HashMap<OutboxEntry, Divergence>>,
}

impl Outbox {
    /// Notes that the inboxes of an entry have a version of the conversation.
    pub(super) fn confirm(&self, entry: &str, version: String) {
        let mut confirmed = lock(&self.confirmed);
        let known = confirmed.entry(entry.to_owned()).or_default();
        // Versions have the same number of digits.
        if *known < version {
            *known = version;
        }
    }

    /// Notes that a row differs from its conversation.
    pub(super) fn report(&self, entry: OutboxEntry, divergence: Divergence) {
        let mut diverged = lock(&self.diverged);
        if diverged.len() < REPAIR_LIMIT {
            diverged.insert(entry, divergence);
        }
    }

    /// Takes what was reported.
    pub(super) fn take_diverged(&self) -> HashMap<OutboxEntry, Divergence> {
        std::mem::take(&mut *lock(&self.diverged))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Whether a change takes two steps, because the store is a cluster.
    pub fn is_in_two_steps(&self) -> bool {
        self.two_steps
    }

    /// Updates the inboxes of both users. Returns whether both have the change now.
    pub(super) async fn update_inboxes(
        &self,
        request: ConversationRequest<'_>,
        updates: InboxUpdates,
    ) -> bool {
        let user = self.update_inbox(request.user, updates.user);
        let peer = self.update_inbox(request.peer, updates.peer);
        let (user, peer) = join(user, peer).await;
        user && peer
    }

    /// Updates the row of a conversation in a user's inbox. Returns whether the inbox has the change now.
    pub async fn update_inbox(&self, user: &UserId, update: Option<Vec<Vec<u8>>>) -> bool {
        let Some(update) = update else {
            return true;
        };
        let mut args: Vec<_> = update.iter().map(Vec::as_slice).collect();
        args.push(user.as_str().as_bytes());
        let updated = self.write_row(user, &args).await;
        let outcome = updated.as_deref().unwrap_or("failed");
        self.metrics.inbox_updates(outcome).inc();
        updated.is_ok()
    }

    /// Runs an update of an inbox. If there is no row, it may have been forgotten meanwhile, so the script gets the key
    /// that says so. Other updates go without this key: while a slot moves, Redis refuses calls with a key that does
    /// not exist.
    async fn write_row(&self, user: &UserId, args: &[&[u8]]) -> Result<String, Error> {
        let started = Instant::now();
        let update = async |keys: &[String]| {
            let limit = UPDATE_TIMEOUT.saturating_sub(started.elapsed());
            let updated = self.call_once::<String>(&UPDATE_INBOX, keys, args, limit);
            updated.await
        };
        let outcome = update(&self.update_keys(user, None)).await?;
        if outcome != ABSENT {
            return Ok(outcome);
        }
        let peer = String::from_utf8_lossy(args[0]);
        let forgotten = self.keys.forgotten(user.as_str(), &peer);
        update(&self.update_keys(user, Some(forgotten))).await
    }

    /// The keys of an update of an inbox.
    fn update_keys(&self, user: &UserId, forgotten: Option<String>) -> Vec<String> {
        let mut keys = self.keys.user(user.as_str()).to_vec();
        let badges = self.badge_keys(user.as_str());
        // The journal is in the place of a key that is not needed.
        let journal = keys.last().filter(|_| !badges.is_empty()).cloned();
        keys.extend(forgotten.or(journal));
        keys.extend(badges);
        keys
    }

    /// Removes the entries from their outboxes whose inboxes this process has updated.
    pub async fn confirm_updates(&self) -> Result<(), Error> {
        let confirmed = std::mem::take(&mut *lock(&self.outbox.confirmed));
        let mut outboxes: HashMap<String, Vec<String>> = HashMap::new();
        for (entry, version) in confirmed {
            let outbox = self.keys.outbox(OutboxEntry::conversation(&entry));
            outboxes.entry(outbox).or_default().extend([entry, version]);
        }
        let calls = outboxes.iter().flat_map(|(outbox, confirmed)| {
            let parts = confirmed.chunks(2 * CONFIRMED_AT_ONCE);
            parts.map(async |part| {
                let args: Vec<_> = part.iter().map(String::as_bytes).collect();
                let keys = std::slice::from_ref(outbox);
                self.run::<u64>(&CONFIRM_UPDATES, keys, &args).await
            })
        });
        // Those that fail are found again, updated once more, and confirmed then.
        let mut outcomes = join_all(calls).await.into_iter();
        outcomes.try_for_each(|removed| removed.map(|_| ()))
    }

    /// The entries of some partitions, which on a cluster is one, whose inboxes have not been updated for some seconds;
    /// and of each partition the number of all entries.
    pub async fn find_unconfirmed(
        &self,
        partitions: Range<usize>,
    ) -> Result<(Vec<OutboxEntry>, Vec<i64>), Error> {
        let keys: Vec<_> = partitions
            .map(|partition| self.keys.outbox_of(partition))
            .collect();
        let args = [UNCONFIRMED_LIMIT.as_bytes()];
        let (entries, counts): (Vec<String>, _) = self.run(&FIND_UNCONFIRMED, &keys, &args).await?;
        let entries = entries.iter().filter_map(|entry| OutboxEntry::parse(entry));
        Ok((entries.collect(), counts))
    }

    /// Makes all updates that may be outstanding for a user, also of conversations that the inbox does not have yet.
    pub(super) async fn complete_updates_of_user(&self, user: &UserId) -> Result<(), Error> {
        let partitions = 0..usize::from(PARTITIONS);
        let searches = partitions.map(|partition| self.find_unconfirmed_of_user(partition, user));
        let found = stream::iter(searches).buffer_unordered(SEARCHED_AT_ONCE);
        let found: Vec<_> = found.try_collect().await?;
        for (one, other) in found.into_iter().flatten() {
            if !self.repeat_updates(&one, &other).await? {
                return Err(Code::Unavailable.into());
            }
        }
        Ok(())
    }

    /// The pairs with a user in the outbox of a partition.
    pub async fn find_unconfirmed_of_user(
        &self,
        partition: usize,
        user: &UserId,
    ) -> Result<Vec<Users>, Error> {
        let keys = [self.keys.outbox_of(partition)];
        let (mut found, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let args = [user.as_str(), &cursor, SEARCH_STEP].map(str::as_bytes);
            let step = self.run::<(String, Vec<String>)>(&FIND_UNCONFIRMED_OF_USER, &keys, &args);
            let (next, pairs) = step.await?;
            found.extend(pairs.iter().filter_map(|pair| Pair::parse(pair)));
            if next == "0" {
                return Ok(found);
            }
            cursor = next;
        }
    }
}
