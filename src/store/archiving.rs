//! Moving messages from Redis to the archive. The oldest messages of a long conversation are read, written to an object,
//! and then dropped by a script, if they are still the same. Several processes may do so at once.

use std::ops::Range;

use chrono::Utc;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha1::{Digest, Sha1};

use super::retention::FoundConversation;
use super::script::{
    COUNT_LONG_CONVERSATIONS, FORGET_OBJECTS, NOTE_LONG_CONVERSATION, NOTE_OBJECT, SEAL_SEGMENT,
    TAKE_SEGMENT,
};
use super::store_archive::{ArchivePolicy, StoreArchive};
use super::{PAGE_SIZE, PARTITIONS, Store};
use crate::archive::{ObjectName, Segment};
use crate::error::{Code, Error};
use crate::model::{Pair, StoredMessage};

/// How long an object may exist before a script makes it count, in milliseconds: a day. Then it is deleted.
const UNSEALED_MS: i64 = 24 * 60 * 60 * 1000;
/// Number of messages that one call reads, which takes Redis a tenth of a millisecond.
const PART: &str = "100";
/// Number of calls at the same time.
const CONCURRENCY: usize = 16;

/// Messages that move to the archive.
#[derive(Default)]
pub struct MovingSegment {
    /// The version of the conversation before they were read.
    version: String,
    /// The seq of the first one.
    low: u64,
    /// Oldest first.
    messages: Vec<String>,
}

impl MovingSegment {
    fn segment(&self) -> Segment {
        Segment::of(self.low, &self.messages)
    }

    /// What `lua/archive/seal_segment.lua` compares.
    fn digest(&self) -> String {
        let newest_first: Vec<_> = self.messages.iter().rev().map(String::as_str).collect();
        format!("{:x}", Sha1::digest(newest_first.join("\n")))
    }

    /// Who wrote each message of a pair, in the form of `lua/lib/archive.lua`; empty for a room.
    fn authors(&self, name: &str) -> Vec<u8> {
        const BY_NOBODY: u8 = 0;
        const BY_FIRST: u8 = 1;
        const BY_SECOND: u8 = 2;
        let Some((first_user, _)) = name.split_once(',') else {
            return Vec::new();
        };
        let author = |message: &String| match StoredMessage::author_of(message) {
            None => BY_NOBODY,
            Some(user) if user == first_user => BY_FIRST,
            Some(_) => BY_SECOND,
        };
        let byte = |four: &[String]| {
            let newest_first = four.iter().rev();
            newest_first.fold(0, |byte, message| (byte << 2) | author(message))
        };
        self.messages.chunks(4).map(byte).collect()
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
        let Some(moving) = self.next_segment(name).await? else {
            return Ok(0);
        };
        let (object, due) = self.write_segment(name, &moving.segment()).await?;
        if !self.seal_segment(name, &object, due, &moving).await? {
            return Ok(0);
        }
        let moved = moving.messages.len() as u64;
        self.metrics.archive.messages.inc_by(moved);
        Ok(moved)
    }

    /// The messages that move next; `None` if the conversation is not long, or if others have moved meanwhile.
    pub async fn next_segment(&self, name: &str) -> Result<Option<MovingSegment>, Error> {
        let Some(moving) = self.moving() else {
            return Ok(None);
        };
        let (mut segment, mut size) = (MovingSegment::default(), 0);
        while segment.messages.len() < usize::from(moving.policy.segment) && size < PAGE_SIZE {
            let taken = segment.messages.len();
            let (version, part) = self.take_segment(name, taken, PAGE_SIZE - size).await?;
            let Some(seq) = part.first().and_then(|first| StoredMessage::seq_of(first)) else {
                return Ok(None);
            };
            if taken == 0 {
                (segment.low, segment.version) = (seq, version);
            } else if seq != segment.low + taken as u64 {
                return Ok(None);
            }
            size += part.iter().map(String::len).sum::<usize>();
            segment.messages.extend(part);
        }
        Ok(Some(segment))
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

    /// The version of a conversation, and a part of the messages that move next, oldest first, after so many that were
    /// taken before; none if the conversation is not long.
    pub async fn take_segment(
        &self,
        name: &str,
        taken: usize,
        bytes: usize,
    ) -> Result<(String, Vec<String>), Error> {
        let Some(moving) = self.moving() else {
            return Ok(Default::default());
        };
        let [messages, meta] = self.keys.named(name);
        let keys = [messages, meta, self.keys.long(name)];
        let ArchivePolicy { hot, segment, .. } = moving.policy;
        let (hot, segment) = (hot.to_string(), segment.to_string());
        let (taken, bytes) = (taken.to_string(), bytes.to_string());
        let args = [name, &hot, &segment, &taken, PART, &bytes].map(str::as_bytes);
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
        moving: &MovingSegment,
    ) -> Result<bool, Error> {
        let [list, meta] = self.keys.named(name);
        let keys = [list, meta, self.keys.garbage(name)];
        let MovingSegment { version, low, .. } = moving;
        let (due, low, count) = (due.to_string(), low.to_string(), moving.messages.len());
        let (folder, id, count) = (object.folder(), object.id(), count.to_string());
        let first = moving.messages.first();
        let sent_at = first.and_then(|message| StoredMessage::sent_at_of(message));
        let (sent_at, digest) = (sent_at.unwrap_or_default(), moving.digest());
        let texts = [folder, id, &due, version, &low, &count, sent_at].map(str::as_bytes);
        let authors = moving.authors(name);
        let args = [&texts[..], &[&authors, digest.as_bytes()]].concat();
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
