//! Erasure of what a user wrote in the archive: the segments with messages or reactions of the user are written anew.

use chrono::Utc;
use redis::{FromRedisValue, ParsingError, Value};

use super::Store;
use super::archived::{MissingObject, SegmentPointer, next_part};
use super::change::ConversationRequest;
use super::erasure::without_reactions;
use super::reply;
use super::room_change::RoomRequest;
use super::script::{ERASE_ROOM_SEGMENT, ERASE_SEGMENT, FIND_SEGMENT};
use crate::archive::Segment;
use crate::error::{Code, Error};
use crate::model::{Peer, RoomName, Seq, StoredMessage, UserId, rfc3339};

/// The reply of `lua/archive/find_segment.lua`.
pub struct FoundSegment {
    /// The seq of the oldest message that is kept.
    from: u64,
    pub(super) segment: Option<SegmentPointer>,
}

impl FromRedisValue for FoundSegment {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let from = next_part(&mut parts)?;
        let has_segment = parts.len() > 0;
        let segment = has_segment.then(|| SegmentPointer::next_of(&mut parts));
        let segment = segment.transpose()?;
        Ok(Self { from, segment })
    }
}

/// How often a segment is written anew while it changes concurrently.
const ATTEMPTS: usize = 5;

/// A segment without what a user wrote.
struct ErasedSegment {
    segment: Segment,
    /// The number of messages that became tombstones, of those that are kept.
    erased: u64,
    /// The entries of the schedule of those messages.
    entries: Vec<String>,
}

impl Store {
    /// Erases the messages of a user in the archive that follow a seq, up to the seq `last`. Returns the number of
    /// messages, and the seq up to which all are erased.
    pub(super) async fn erase_archived(
        &self,
        user: &UserId,
        peer: &Peer,
        after: Seq,
        last: Seq,
    ) -> Result<(u64, Seq), Error> {
        let name = peer.conversation_of(user);
        let (mut erased, mut after, end) = (0, after.get(), last.get());
        let (mut attempts, mut missing) = (0, MissingObject::default());
        let Some(archive) = self.archive.as_deref() else {
            return Err(Code::ArchiveUnavailable.into());
        };
        loop {
            let _turn = archive.take_turn(&name).await?;
            let found = self.find_segment(&name, after).await?;
            let Some(pointer) = found.segment.filter(|segment| segment.low <= end) else {
                return Ok((erased, reply::seq(after)?));
            };
            let segment = self.read_segment(&name, &pointer, &mut missing).await?;
            let replaced = match segment {
                Some(segment) => {
                    let new = without_user(&segment, user, found.from, end)?;
                    self.replace_segment(user, peer, &name, &pointer, end, new)
                        .await?
                }
                None => None,
            };
            match replaced {
                Some(count) => (erased, after, attempts) = (erased + count, pointer.high, 0),
                None if attempts < ATTEMPTS => attempts += 1,
                None => return Err(Code::MessageChanged.into()),
            }
        }
    }

    /// The next segment that ends after a seq.
    pub async fn find_segment(&self, name: &str, after: u64) -> Result<FoundSegment, Error> {
        let keys = self.keys.named(name);
        let after = after.to_string();
        self.run(&FIND_SEGMENT, &keys, &[after.as_bytes()]).await
    }

    /// Writes a segment anew, if anything is to be erased in it. Returns the number of messages; `None` if it changed
    /// concurrently.
    async fn replace_segment(
        &self,
        user: &UserId,
        peer: &Peer,
        name: &str,
        pointer: &SegmentPointer,
        end: u64,
        new: Option<ErasedSegment>,
    ) -> Result<Option<u64>, Error> {
        let Some(new) = new else {
            return Ok(Some(0));
        };
        let object = self.write_segment(name, &new.segment).await?;
        let held = self.held_arg(name, pointer, Some(&object), "");
        let (high, end) = (pointer.high.to_string(), end.to_string());
        let mut args = vec![held.as_str(), &high, &end];
        args.extend(new.entries.iter().map(String::as_str));
        let done = match peer {
            Peer::User(peer) => self.erase_segment(user, peer, &args).await?,
            Peer::Room(room) => {
                args.remove(2);
                self.erase_room_segment(user, room, &args).await?
            }
        };
        Ok(done.then_some(new.erased))
    }

    /// Makes an object count from which messages of a user were erased. Returns false if the segment changed
    /// concurrently.
    pub async fn erase_segment(
        &self,
        user: &UserId,
        peer: &UserId,
        args: &[&str],
    ) -> Result<bool, Error> {
        let charge = None;
        let request = ConversationRequest { user, peer, charge };
        let pair = request.pair();
        let keys = [
            self.keys.schedule(pair.as_str()),
            self.keys.garbage(pair.as_str()),
        ];
        let done = self.change_with_keys::<u8>(&ERASE_SEGMENT, request, keys, args);
        Ok(done.await?.value == 1)
    }

    /// The same in a room.
    pub async fn erase_room_segment(
        &self,
        user: &UserId,
        room: &RoomName,
        args: &[&str],
    ) -> Result<bool, Error> {
        let charge = None;
        let request = RoomRequest { user, room, charge };
        let name = room.as_str();
        let keys = [self.keys.schedule(name), self.keys.garbage(name)];
        let done = self.change_room::<u8>(&ERASE_ROOM_SEGMENT, request, keys, args);
        Ok(done.await?.value == 1)
    }
}

/// The segment without messages and reactions of a user up to a seq; `None` if there are none. `from` is the seq of the
/// oldest message that is kept.
fn without_user(
    segment: &Segment,
    user: &UserId,
    from: u64,
    end: u64,
) -> Result<Option<ErasedSegment>, Error> {
    let (now, mut changes) = (rfc3339(Utc::now()), false);
    let (mut messages, mut entries, mut erased) = (Vec::new(), Vec::new(), 0);
    for (seq, text) in (segment.low()..).zip(segment.messages()) {
        let stored = StoredMessage(text.to_owned());
        let new = if seq > end {
            None
        } else if stored.is_from(user) {
            let tombstone = stored.erased(&now);
            erased += u64::from(tombstone.is_some() && seq >= from);
            // Also of one that is a tombstone because it has expired.
            entries.extend(stored.schedule_entry());
            tombstone
        } else {
            without_reactions(&stored, user)?
        };
        changes |= new.is_some();
        messages.push(new.unwrap_or(stored).0);
    }
    let texts = messages.iter().map(String::as_str);
    Ok(changes.then(|| ErasedSegment {
        segment: Segment::of(segment.low(), texts),
        erased,
        entries,
    }))
}
