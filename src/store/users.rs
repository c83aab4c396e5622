//! The conversations of a user and their messages, step by step, for an export or an erasure.

use super::archived::{ATTEMPTS, MissingObject, SegmentPointer};
use super::archived_pages::fitting;
use super::script::{EXPORT_MESSAGES, SCAN_CONVERSATIONS};
use super::{PAGE_BYTES, PAGE_SIZE, Store, reply};
use crate::archive::Segment;
use crate::error::{Code, Error};
use crate::model::{InboxRow, Pair, Peer, Seq, StoredMessage, UserId};

/// Approximate number of conversations in one step of a scan.
const SCAN_STEP: &str = "100";
/// Number of messages that one step reads or erases, which takes Redis up to 3 ms in the middle of a
/// million messages.
pub(super) const MESSAGE_STEP: &str = "100";

/// A part of a conversation, oldest message first.
pub struct ExportPage {
    /// The messages as reads show them, those that have expired as tombstones.
    pub messages: Vec<StoredMessage>,
    /// The `after` of the next page; `None` on the last page.
    pub next: Option<Seq>,
    /// The seq of the newest message of the conversation.
    pub last_seq: Seq,
    /// Whether the messages are in the archive.
    pub is_archived: bool,
}

impl ExportPage {
    /// The page in a reply.
    fn of((messages, next, last_seq, _): ExportReply) -> Result<Self, Error> {
        Ok(Self {
            messages: reply::messages(messages.into_iter().rev()),
            next: reply::cursor(next)?,
            last_seq: reply::seq(last_seq)?,
            is_archived: false,
        })
    }
}

/// The reply of a script that exports: the messages, newest first, the `after` of the next page, the newest seq, and
/// what is in the archive: the first and the last seq of the page, and the segment.
pub(super) type ExportReply = (Vec<String>, u64, u64, Option<(u64, u64, u64, u64, String)>);

/// The position of a scan; `None` at the end.
type ScanCursor = Option<String>;

impl Store {
    /// One step of a scan over the peers of a user, each with its row in the inbox.
    pub async fn scan_conversations(
        &self,
        user: &UserId,
        cursor: &str,
    ) -> Result<(Vec<(Peer, InboxRow)>, ScanCursor), Error> {
        let keys = [self.keys.conversations(user.as_str())];
        let args = [cursor.as_bytes(), SCAN_STEP.as_bytes()];
        let (next, peers, rows): (String, Vec<String>, Vec<String>) =
            self.run(&SCAN_CONVERSATIONS, &keys, &args).await?;
        let peers = peers.into_iter().zip(rows);
        let peers = peers.map(|(peer, row)| Ok((reply::peer(peer)?, InboxRow::parse(&row)?)));
        Ok((
            peers.collect::<Result<_, Error>>()?,
            (next != "0").then_some(next),
        ))
    }

    /// A part of a conversation for the export of `user`: messages newer than `after`, oldest first.
    pub async fn export_messages(
        &self,
        user: &UserId,
        peer: &UserId,
        after: Seq,
    ) -> Result<ExportPage, Error> {
        let pair = Pair::of(user, peer);
        let keys = [self.keys.messages(&pair), self.keys.meta(&pair)];
        let after = after.get().to_string();
        let args = [user.as_str(), &after, MESSAGE_STEP, PAGE_BYTES].map(str::as_bytes);
        let export = async || self.run(&EXPORT_MESSAGES, &keys, &args).await;
        self.complete_export(pair.as_str(), export).await
    }

    /// A page of an export, of which `export` runs the script.
    pub(super) async fn complete_export(
        &self,
        conversation: &str,
        export: impl AsyncFn() -> Result<ExportReply, Error>,
    ) -> Result<ExportPage, Error> {
        let mut missing = MissingObject::default();
        for _ in 0..ATTEMPTS {
            let mut reply = export().await?;
            let Some((low, high, segment_low, segment_high, object)) = reply.3.take() else {
                return ExportPage::of(reply);
            };
            let pointer = SegmentPointer {
                low: segment_low,
                high: segment_high,
                object,
            };
            let segment = self.read_segment(conversation, &pointer, &mut missing);
            if let Some(segment) = Box::pin(segment).await? {
                reply.0 = messages_within(&segment, low, high);
                let last = low + reply.0.len() as u64 - 1;
                reply.1 = if last < reply.2 { last } else { 0 };
                let page = ExportPage::of(reply)?;
                return Ok(ExportPage {
                    is_archived: true,
                    ..page
                });
            }
        }
        Err(Code::ArchiveUnavailable.into())
    }
}

/// Messages of a segment, newest first: those from one seq to another that fit into a page, and at least one.
fn messages_within(segment: &Segment, low: u64, high: u64) -> Vec<String> {
    let messages: Vec<_> = (low..=high).filter_map(|seq| segment.get(seq)).collect();
    let (count, _) = fitting(messages.iter(), PAGE_SIZE);
    let newest_first = messages[..count].iter().rev();
    newest_first.map(|message| (*message).to_owned()).collect()
}
