//! Removal of expired messages from conversations that nobody writes to.

use super::archived::{ATTEMPTS, ArchiveReply, MissingObject};
use super::change::ConversationRequest;
use super::script::{DROP_SEGMENTS, TRIM_CONVERSATION};
use super::{Node, Store, administered};
use crate::archive::Segment;
use crate::error::{Code, Error};
use crate::model::{Pair, RoomName, StoredMessage, UserId};

/// Maximum number of objects that one call gives up.
const SEGMENTS: &str = "500";

/// The outcome of one call of [`Store::trim_conversation`].
#[derive(Default)]
pub struct Trimmed {
    /// The number of messages removed.
    pub dropped: u64,
    /// Whether another call may remove more.
    pub more: bool,
}

impl Trimmed {
    /// Maximum number of messages that one call removes.
    pub(super) const STEP: u64 = 50;

    /// The outcome of a call that removed so many messages.
    pub(super) fn of(dropped: u64) -> Self {
        Self {
            dropped,
            more: dropped == Self::STEP,
        }
    }
}

/// The calls of a script that trims a conversation, which has to be told which messages of the archive are too old.
#[derive(Default)]
pub(super) struct TrimCalls {
    /// The argument `old` of the next call.
    pub old: String,
    count: usize,
    missing: MissingObject,
}

/// A conversation that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundConversation {
    Pair(UserId, UserId),
    Room(RoomName),
}

impl FoundConversation {
    /// The conversation of a key `dm:{tag}:messages:<pair>` or `dm:{tag}:messages:<room>`.
    fn of_key(key: &str) -> Option<Self> {
        let name = key.splitn(4, ':').nth(3)?;
        let room = RoomName::parse(name).map(Self::Room);
        room.or_else(|| Pair::parse(name).map(|(first, second)| Self::Pair(first, second)))
    }
}

impl Store {
    /// Removes the oldest expired messages of one conversation: at most 50, because one can have 110 KB.
    pub async fn trim_conversation(
        &self,
        first: &UserId,
        second: &UserId,
    ) -> Result<Trimmed, Error> {
        let request = ConversationRequest {
            user: first,
            peer: second,
            charge: None,
        };
        if !self.retention.is_limited() {
            return Ok(Trimmed::default());
        }
        let (limit, pair) = (Trimmed::STEP.to_string(), request.pair());
        let mut calls = TrimCalls::default();
        loop {
            let args = [limit.as_str(), &calls.old];
            let reply = self.change(&TRIM_CONVERSATION, request, &args).await?.value;
            if let Some(trimmed) = self.next_trim(pair.as_str(), reply, &mut calls).await? {
                return Ok(trimmed);
            }
        }
    }

    /// The outcome of a call of a script that trims a conversation; `None` if it is to be called again, with `old`.
    pub(super) async fn next_trim(
        &self,
        name: &str,
        reply: ArchiveReply<u64>,
        calls: &mut TrimCalls,
    ) -> Result<Option<Trimmed>, Error> {
        let (from, pointer) = match reply {
            ArchiveReply::Done(dropped) => {
                if self.archive.is_some() {
                    self.drop_segments(name).await?;
                }
                let trimmed = Trimmed::of(dropped);
                // A call drops messages of one segment.
                let more = trimmed.more || calls.count > 0 && dropped > 0;
                return Ok(Some(Trimmed { more, ..trimmed }));
            }
            ArchiveReply::Read(from, pointer) | ArchiveReply::Write(from, pointer, _) => {
                (from, pointer)
            }
        };
        calls.count += 1;
        if calls.count > ATTEMPTS {
            return Err(Code::MessageChanged.into());
        }
        let segment = self.read_segment(name, &pointer, &mut calls.missing);
        calls.old = match segment.await? {
            Some(segment) => old_messages(&segment, from, &self.retention.script_arg()),
            None => String::new(),
        };
        Ok(None)
    }

    /// Gives up the objects that have only messages which were dropped.
    pub async fn drop_segments(&self, name: &str) -> Result<u64, Error> {
        let [messages, meta] = self.keys.named(name);
        let keys = [messages, meta, self.keys.garbage(name)];
        let (folder, grace_ms) = self.archive_args(name);
        let args = [&folder, &grace_ms, SEGMENTS].map(str::as_bytes);
        self.run(&DROP_SEGMENTS, &keys, &args).await
    }

    /// One step of a scan over all conversations of a node: the next cursor (0 at the end) and the conversations
    /// found, some of them possibly twice.
    pub async fn scan_node(
        &self,
        node: &Node,
        cursor: u64,
    ) -> Result<(u64, Vec<FoundConversation>), Error> {
        let scan = async {
            let mut connection = self.topology.pooled_connection(node).await?;
            let mut command = redis::cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg("dm:*:messages:*")
                .arg("COUNT")
                .arg(500);
            let step = command
                .query_async::<(u64, Vec<String>)>(&mut connection)
                .await;
            step.map_err(|e| e.to_string())
        };
        let (next, keys) = administered(scan).await?;
        let found = keys.iter().filter_map(|key| FoundConversation::of_key(key));
        Ok((next, found.collect()))
    }
}

/// Which messages of a segment are too old, from the one with the seq `from` on: the argument `old` of a script, see
/// `lua/lib/retention.lua`.
fn old_messages(segment: &Segment, from: u64, retention: &str) -> String {
    let (_, since) = retention.split_once('|').unwrap_or_default();
    let sent_at = |seq| segment.get(seq).and_then(StoredMessage::sent_at_of);
    let is_old = |seq: &u64| sent_at(*seq).is_some_and(|sent_at| sent_at < since);
    let next = from + (from..=segment.high()).take_while(is_old).count() as u64;
    format!("{from}|{}|{}", next - 1, sent_at(next).unwrap_or_default())
}
