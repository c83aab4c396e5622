//! The conversations of a user and their messages, step by step, for an export or an erasure.

use super::script::{EXPORT_MESSAGES, SCAN_CONVERSATIONS};
use super::{PAGE_BYTES, Store, reply};
use crate::error::Error;
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
}

impl ExportPage {
    /// The page in a reply: the messages, newest first, the `after` of the next page, and the newest seq.
    pub(super) fn of((messages, next, last_seq): (Vec<String>, u64, u64)) -> Result<Self, Error> {
        Ok(Self {
            messages: reply::messages(messages.into_iter().rev()),
            next: reply::cursor(next)?,
            last_seq: reply::seq(last_seq)?,
        })
    }
}

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
        let exported = self.run(&EXPORT_MESSAGES, &keys, &args);
        ExportPage::of(exported.await?)
    }
}
