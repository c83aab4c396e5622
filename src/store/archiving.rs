//! Moving messages from Redis to the archive. The oldest messages of a long conversation are read, written to an object,
//! and then dropped by a script, if they are still the same. Several processes may do so at once.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha1::{Digest, Sha1};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::timeout;

use super::retention::FoundConversation;
use super::script::{
    COUNT_LONG_CONVERSATIONS, FORGET_OBJECTS, NOTE_LONG_CONVERSATION, NOTE_OBJECT, SEAL_SEGMENT,
    TAKE_SEGMENT,
};
use super::{PAGE_BYTES, PARTITIONS, Store};
use crate::archive::{Archive, ObjectName, Segment};
use crate::error::{Code, Error};
use crate::model::{Pair, Seq, StoredMessage};

/// How long an object may exist before a script makes it count, in milliseconds: a day. Then it is deleted.
const UNSEALED_MS: i64 = 24 * 60 * 60 * 1000;
/// Maximum number of conversations that wait to be noted as long. More are noted when they are longer still.
const WAITING_LIMIT: usize = 10_000;
/// Number of changes of archived messages that one process makes at the same time, at most.
const TURNS: usize = 64;
/// How long a change may wait for others, which takes long only while the archive hardly answers.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of calls at the same time.
const CONCURRENCY: usize = 16;

/// Which messages are in the archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchivePolicy {
    /// Number of messages of a conversation that stay in Redis; 0 keeps all.
    pub hot: u64,
    /// Number of messages of a segment.
    pub segment: u16,
    /// How long an object is kept after another one has replaced it.
    pub grace: Duration,
}

/// The archive of a store.
pub(super) struct StoreArchive {
    pub archive: Archive,
    pub policy: ArchivePolicy,
    /// The conversations that may have become long.
    waiting: Mutex<HashSet<String>>,
    /// Changes of archived messages of one conversation wait for each other, because each writes a whole segment anew, and
    /// one that another process overtook starts again. Conversations share them.
    turns: [AsyncMutex<()>; TURNS],
}

impl StoreArchive {
    pub fn new(archive: Archive, policy: ArchivePolicy) -> Self {
        Self {
            archive,
            policy,
            waiting: Mutex::default(),
            turns: [const { AsyncMutex::const_new(()) }; TURNS],
        }
    }

    /// Waits until no other task of this process changes archived messages of a conversation. Returns whether it waited.
    pub async fn take_turn(&self, conversation: &str) -> Result<(MutexGuard<'_, ()>, bool), Error> {
        let mut hasher = DefaultHasher::new();
        conversation.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        match self.turns[turn].try_lock() {
            Ok(turn) => Ok((turn, false)),
            Err(_) => match timeout(TURN_TIMEOUT, self.turns[turn].lock()).await {
                Ok(turn) => Ok((turn, true)),
                Err(_) => Err(Code::ArchiveUnavailable.into()),
            },
        }
    }

    /// Notes that a conversation has a message of this seq. Some of its messages may have to move every time when it is
    /// longer by a segment.
    pub fn note_seq(&self, conversation: &str, seq: Seq) {
        let ArchivePolicy { hot, segment, .. } = self.policy;
        if hot > 0 && seq.get() > hot && seq.get().is_multiple_of(segment.into()) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() < WAITING_LIMIT {
                waiting.insert(conversation.to_owned());
            }
        }
    }

    fn take_waiting(&self) -> HashSet<String> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }
}

impl FoundConversation {
    /// The name of the conversation in Redis.
    pub fn name(&self) -> String {
        match self {
            Self::Pair(one, other) => Pair::of(one, other).as_str().to_owned(),
            Self::Room(room) => room.as_str().to_owned(),
        }
    }
}

impl Store {
    /// What is wrong with the archive; `None` if there is none.
    pub fn archive_warnings(&self) -> Option<Vec<String>> {
        self.archive
            .as_deref()
            .map(|store| store.archive.warnings())
    }

    /// What moves to the archive; `None` if nothing does.
    fn moving(&self) -> Option<&StoreArchive> {
        self.archive
            .as_deref()
            .filter(|archive| archive.policy.hot > 0)
    }

    /// Notes those conversations that have become long since the last call.
    pub async fn note_long_conversations(&self) -> Result<(), Error> {
        let Some(moving) = self.moving() else {
            return Ok(());
        };
        let waiting = moving.take_waiting().into_iter();
        let noted = waiting.map(async |name| self.note_long_conversation(&name).await);
        let noted = stream::iter(noted).buffer_unordered(CONCURRENCY);
        noted.try_for_each(async |_| Ok(())).await
    }

    /// Notes a conversation if it has so many messages that some are to move. Returns whether it has.
    pub async fn note_long_conversation(&self, name: &str) -> Result<bool, Error> {
        let Some(moving) = self.moving() else {
            return Ok(false);
        };
        let ArchivePolicy { hot, segment, .. } = moving.policy;
        let [messages, _] = self.keys.named(name);
        let keys = [messages, self.keys.long(name)];
        let limit = (hot + u64::from(segment)).to_string();
        let args = [name, &limit].map(str::as_bytes);
        let noted = self
            .run::<u8>(&NOTE_LONG_CONVERSATION, &keys, &args)
            .await?;
        Ok(noted == 1)
    }

    /// Some long conversations of the partitions of a group. No other call returns them before their lease ends.
    pub async fn claim_long_conversations(&self, group: Range<u16>) -> Result<Vec<String>, Error> {
        let long = group.map(|partition| self.keys.long_of(partition.into()));
        self.claim_due(long.collect()).await
    }

    /// The number of long conversations.
    pub async fn count_long_conversations(&self) -> Result<u64, Error> {
        let keys = (0..usize::from(PARTITIONS)).map(|partition| self.keys.long_of(partition));
        let keys: Vec<_> = keys.collect();
        let at_once = if self.two_steps { 1 } else { keys.len() };
        let counts = keys
            .chunks(at_once)
            .map(async |keys| self.run::<u64>(&COUNT_LONG_CONVERSATIONS, keys, &[]).await);
        join_all(counts).await.into_iter().sum()
    }

    /// Moves the oldest messages of a conversation to the archive, if it has so many that some are to move. Returns the
    /// number of messages that have moved.
    pub async fn move_to_archive(&self, name: &str) -> Result<u64, Error> {
        let messages = self.take_segment(name).await?;
        let Some(low) = messages
            .first()
            .and_then(|first| StoredMessage::seq_of(first))
        else {
            return Ok(0);
        };
        let segment = Segment::of(low, messages.iter().map(String::as_str));
        let (object, due) = self.write_segment(name, &segment).await?;
        if !self.seal_segment(name, &object, due, &messages).await? {
            return Ok(0);
        }
        let moved = messages.len() as u64;
        self.metrics.archive.messages.inc_by(moved);
        Ok(moved)
    }

    /// Moves messages of a conversation that an import has made long, so that a history of any length passes through Redis
    /// and does not fill it. Returns false if the archive fails; then the worker moves them later.
    pub(super) async fn move_imported(&self, name: &str) -> Result<bool, Error> {
        let moved = loop {
            match self.move_to_archive(name).await {
                Ok(0) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        self.note_long_conversation(name).await?;
        Ok(moved)
    }

    /// Writes a segment to a new object. Returns its name, and the time of the note that it may have to be deleted.
    pub(super) async fn write_segment(
        &self,
        name: &str,
        segment: &Segment,
    ) -> Result<(ObjectName, i64), Error> {
        let Some(StoreArchive { archive, .. }) = self.archive.as_deref() else {
            return Err(Code::ArchiveUnavailable.into());
        };
        let object = ObjectName::of(name, segment.low());
        let due = Utc::now().timestamp_millis() + UNSEALED_MS;
        // If the outcome is unknown, nothing was changed but the note.
        let noted = self.note_object(name, &object, due).await;
        noted.map_err(Error::as_read_error)?;
        archive.write(&object, segment).await?;
        Ok((object, due))
    }

    /// The messages that move next, oldest first; none if the conversation is not long.
    pub async fn take_segment(&self, name: &str) -> Result<Vec<String>, Error> {
        let Some(moving) = self.moving() else {
            return Ok(Vec::new());
        };
        let [messages, _] = self.keys.named(name);
        let keys = [messages, self.keys.long(name)];
        let ArchivePolicy { hot, segment, .. } = moving.policy;
        let (hot, segment) = (hot.to_string(), segment.to_string());
        let args = [name, &hot, &segment, PAGE_BYTES].map(str::as_bytes);
        self.run(&TAKE_SEGMENT, &keys, &args).await
    }

    /// Notes an object that is about to be written. It is deleted at a time if it does not count then.
    pub async fn note_object(
        &self,
        name: &str,
        object: &ObjectName,
        due: i64,
    ) -> Result<(), Error> {
        let keys = [self.keys.garbage(name)];
        let due = due.to_string();
        let args = [object.as_str(), &due].map(str::as_bytes);
        self.run::<u8>(&NOTE_OBJECT, &keys, &args).await.map(|_| ())
    }

    /// Drops messages that an object has from the list of the conversation. Returns false, and does nothing, if they
    /// have changed.
    pub async fn seal_segment(
        &self,
        name: &str,
        object: &ObjectName,
        due: i64,
        messages: &[String],
    ) -> Result<bool, Error> {
        let [list, meta] = self.keys.named(name);
        let keys = [list, meta, self.keys.garbage(name)];
        let newest_first: Vec<_> = messages.iter().rev().map(String::as_str).collect();
        let digest = format!("{:x}", Sha1::digest(newest_first.join("\n")));
        let (due, count) = (due.to_string(), messages.len().to_string());
        let (folder, id) = (object.folder(), object.id());
        let args = [name, folder, id, &due, &count, &digest].map(str::as_bytes);
        Ok(self.run::<u8>(&SEAL_SEGMENT, &keys, &args).await? == 1)
    }

    /// Deletes the objects of a partition that have not counted for long enough. Returns their number.
    pub async fn delete_garbage(&self, partition: u16) -> Result<u64, Error> {
        let Some(StoreArchive { archive, .. }) = self.archive.as_deref() else {
            return Ok(0);
        };
        let garbage = self.keys.garbage_of(partition.into());
        let objects = self.claim_due(vec![garbage.clone()]).await?;
        if objects.is_empty() {
            return Ok(0);
        }
        let deleted = objects.iter().cloned().map(ObjectName::stored);
        let deleted = deleted.map(async |object| archive.delete(&object).await);
        let deleted = stream::iter(deleted).buffer_unordered(CONCURRENCY);
        deleted.try_for_each(async |()| Ok(())).await?;
        self.forget_objects(&garbage, &objects).await
    }

    /// Forgets objects that were deleted.
    pub async fn forget_objects(&self, garbage: &str, objects: &[String]) -> Result<u64, Error> {
        let keys = [garbage.to_owned()];
        let args: Vec<_> = objects.iter().map(String::as_bytes).collect();
        self.run(&FORGET_OBJECTS, &keys, &args).await
    }
}
