//! Messages that are in the archive. A script that needs one says so, and is called again when it was read or written.

use std::sync::Arc;
use std::vec;

use chrono::Utc;
use redis::{FromRedisValue, ParsingError, Value};
use tokio::sync::MutexGuard;

use super::{RateLimited, Store};
use crate::archive::{ObjectName, Segment};
use crate::error::{Code, Error};
use crate::model::expired;
use crate::rate::{RateLimitRequest, RateLimitStatus};

/// How often a script is called while what it needs changes concurrently.
pub(super) const ATTEMPTS: usize = 16;

/// A segment, as scripts name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentPointer {
    /// The seqs of its first and its last message.
    pub low: u64,
    pub high: u64,
    /// The id of its object.
    pub object: String,
}

impl SegmentPointer {
    /// The pointer in the next three parts of a reply: low, high and object.
    pub fn next_of(parts: &mut vec::IntoIter<Value>) -> Result<Self, ParsingError> {
        Ok(Self {
            low: next_part(parts)?,
            high: next_part(parts)?,
            object: next_part(parts)?,
        })
    }
}

/// The next part of a reply; nil at its end.
pub(super) fn next_part<T: FromRedisValue>(
    parts: &mut vec::IntoIter<Value>,
) -> Result<T, ParsingError> {
    T::from_redis_value(parts.next().unwrap_or(Value::Nil))
}

/// What a script replies that may need a message of the archive; see `lua/lib/archive.lua`.
pub(super) enum ArchiveReply<T> {
    Done(T),
    /// It needs the message with this seq.
    Read(u64, SegmentPointer),
    /// It needs an object in which this text is in the place of the message.
    Write(u64, SegmentPointer, String),
}

impl<T: FromRedisValue> FromRedisValue for ArchiveReply<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(parts) = value else {
            return T::from_redis_value(value).map(Self::Done);
        };
        let mut parts = parts.into_iter();
        let seq = next_part(&mut parts)?;
        let segment = SegmentPointer::next_of(&mut parts)?;
        Ok(match next_part(&mut parts)? {
            Some(text) => Self::Write(seq, segment, text),
            None => Self::Read(seq, segment),
        })
    }
}

/// A reply that was not converted yet.
pub(super) fn archive_reply(
    reply: RateLimited<Value>,
) -> Result<RateLimited<ArchiveReply<Value>>, Error> {
    reply.try_map(|value| {
        let reply = redis::from_redis_value(value);
        reply.map_err(|e| Error::new(Code::Internal, e.to_string()))
    })
}

/// An object that was missing. It may have been replaced since a script named it, and deleted; so the script is called
/// again. If it names the object again, that is damage.
#[derive(Default)]
pub(super) struct MissingObject(Option<String>);

/// The calls of a script that may need the archive: the first one, and others with what it asked for.
pub(super) struct ArchiveCalls<'a> {
    conversation: &'a str,
    calls: usize,
    /// The argument `held` of the next call, see `parse_held` of `lua/lib/archive.lua`.
    pub held: String,
    quota: Option<RateLimitStatus>,
    missing: MissingObject,
    /// Whether a reply has needed the archive.
    is_archived: bool,
    /// Held by a change from the first such reply on.
    turn: Option<MutexGuard<'a, ()>>,
    /// Whether the caller has taken the turn.
    is_in_turn: bool,
}

impl<'a> ArchiveCalls<'a> {
    pub fn of(conversation: &'a str) -> Self {
        Self {
            conversation,
            calls: 0,
            held: String::new(),
            quota: None,
            missing: MissingObject::default(),
            is_archived: false,
            turn: None,
            is_in_turn: false,
        }
    }

    /// The same, where the caller has taken the turn of the conversation already.
    pub fn in_turn(self, is_in_turn: bool) -> Self {
        Self { is_in_turn, ..self }
    }

    /// Takes the turn of the conversation if the message that was read is in the archive: from then on no other task of
    /// this process changes it. Returns whether it waited for others, which may have changed the message.
    pub async fn take_turn(
        &self,
        store: &'a Store,
    ) -> Result<Option<(MutexGuard<'a, ()>, bool)>, Error> {
        match store.archive.as_deref().filter(|_| self.is_archived) {
            Some(archive) => archive.take_turn(self.conversation).await.map(Some),
            None => Ok(None),
        }
    }

    /// The charge of the next call: only the first one is charged.
    pub fn charge<'c>(&self, charge: Option<&'c RateLimitRequest>) -> Option<&'c RateLimitRequest> {
        charge.filter(|_| self.calls == 0)
    }

    /// Notes a reply. Returns its value, unless the script needs a message.
    fn note<T>(&mut self, reply: RateLimited<T>) -> Result<T, Error> {
        self.calls += 1;
        self.quota = self.quota.or(reply.quota);
        if self.calls > ATTEMPTS {
            return Err(Code::MessageChanged.into());
        }
        Ok(reply.value)
    }

    /// The value of a reply of a script that reads a message; `None` if it is to be called again.
    pub async fn read(
        &mut self,
        store: &Store,
        reply: RateLimited<ArchiveReply<String>>,
    ) -> Result<Option<RateLimited<String>>, Error> {
        let value = match self.note(reply)? {
            ArchiveReply::Done(value) => value,
            ArchiveReply::Read(seq, pointer) | ArchiveReply::Write(seq, pointer, _) => {
                self.is_archived = true;
                let segment = store.read_segment(self.conversation, &pointer, &mut self.missing);
                match segment.await? {
                    Some(segment) => text_in(&segment, seq)?.to_owned(),
                    None => return Ok(None),
                }
            }
        };
        let quota = self.quota;
        Ok(Some(RateLimited { value, quota }))
    }

    /// The value of a reply of a script that changes a message; `None` if it is to be called again, with `held`.
    pub async fn change<T>(
        &mut self,
        store: &'a Store,
        reply: RateLimited<ArchiveReply<T>>,
    ) -> Result<Option<RateLimited<T>>, Error> {
        let (seq, pointer, new) = match self.note(reply)? {
            ArchiveReply::Done(value) => {
                let quota = self.quota;
                return Ok(Some(RateLimited { value, quota }));
            }
            ArchiveReply::Read(seq, pointer) => (seq, pointer, None),
            ArchiveReply::Write(seq, pointer, new) => (seq, pointer, Some(new)),
        };
        if self.turn.is_none()
            && !self.is_in_turn
            && let Some(archive) = store.archive.as_deref()
        {
            let (turn, has_waited) = archive.take_turn(self.conversation).await?;
            self.turn = Some(turn);
            if has_waited {
                // The segment has another object now.
                return Ok(None);
            }
        }
        let segment = store.read_segment(self.conversation, &pointer, &mut self.missing);
        self.held = match segment.await? {
            Some(segment) => {
                let held = store.held(self.conversation, &segment, seq, &pointer, new.as_deref());
                held.await?
            }
            None => String::new(),
        };
        Ok(None)
    }
}

/// The text of a message in a segment.
fn text_in(segment: &Segment, seq: u64) -> Result<&str, Error> {
    segment.get(seq).ok_or_else(|| {
        let why = format!("A segment of the archive does not have message {seq}.");
        Error::new(Code::ArchiveDamaged, why)
    })
}

impl Store {
    /// The segment of a conversation that a script named; `None` if its object does not exist, which `missing`
    /// remembers.
    pub(super) async fn read_segment(
        &self,
        conversation: &str,
        pointer: &SegmentPointer,
        missing: &mut MissingObject,
    ) -> Result<Option<Arc<Segment>>, Error> {
        let Some(store) = self.archive.as_deref() else {
            let why = "DUOLOGUE_ARCHIVE is not set, and older messages are in an archive.";
            return Err(Error::new(Code::ArchiveUnavailable, why));
        };
        let name = ObjectName::with_id(conversation, pointer.low, &pointer.object);
        let segment = store
            .archive
            .read(&name, (pointer.low, pointer.high))
            .await?;
        if segment.is_none() && missing.0.as_ref() == Some(&pointer.object) {
            return Err(store.archive.missing(&name));
        }
        if segment.is_none() {
            missing.0 = Some(pointer.object.clone());
        }
        Ok(segment)
    }

    /// The argument `held` of a script: the text of a message, and if there is a new one, the object that was written
    /// with it, see `parse_held` of `lua/lib/archive.lua`. The object has the tombstones of all messages that have expired,
    /// so that those of a segment which expire together take one object.
    async fn held(
        &self,
        conversation: &str,
        segment: &Segment,
        seq: u64,
        pointer: &SegmentPointer,
        new: Option<&str>,
    ) -> Result<String, Error> {
        let text = text_in(segment, seq)?;
        let replacement = match new {
            Some(new) => {
                let now = Utc::now();
                let segment = segment.replaced(|at, stored| {
                    if at == seq {
                        Some(new.to_owned())
                    } else {
                        expired(stored, now)
                    }
                });
                Some(self.write_segment(conversation, &segment).await?)
            }
            None => None,
        };
        Ok(self.held_arg(conversation, pointer, replacement.as_ref(), text))
    }

    /// The same of what was read and written.
    pub(super) fn held_arg(
        &self,
        conversation: &str,
        pointer: &SegmentPointer,
        replacement: Option<&(ObjectName, i64)>,
        text: &str,
    ) -> String {
        let (folder, grace_ms) = self.archive_args(conversation);
        let (new_object, due) = match replacement {
            Some((name, due)) => (name.id(), due.to_string()),
            None => ("", String::new()),
        };
        let object = &pointer.object;
        format!("{folder}|{grace_ms}|{object}|{new_object}|{due}|{text}")
    }

    /// The folder of the objects of a conversation, and how long they are kept when they no longer count, in
    /// milliseconds.
    pub(super) fn archive_args(&self, conversation: &str) -> (String, String) {
        let name = ObjectName::with_id(conversation, 0, "");
        let grace = self.archive.as_deref().map(|store| store.policy.grace);
        let grace_ms = grace.unwrap_or_default().as_millis();
        (name.folder().to_owned(), grace_ms.to_string())
    }
}
