//! Export and erasure of all data of a user.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::change::ConversationRequest;
use super::script::{ERASE_MESSAGES, EXPORT_MESSAGES, FORGET_CONVERSATION, SCAN_CONVERSATIONS};
use super::{Store, reply};
use crate::error::Error;
use crate::model::{Erasure, Pair, Seq, StoredMessage, UserId, rfc3339};

/// Approximate number of conversations in one step of a scan.
const SCAN_STEP: &str = "100";
/// Messages that one step reads or erases, which takes Redis less than a millisecond.
const MESSAGE_STEP: &str = "200";
/// How long one call erases before it returns with `done: false`.
const ERASE_TIMEOUT: Duration = Duration::from_secs(10);

/// The position of a scan; `None` at the end.
type ScanCursor = Option<String>;

impl Store {
    /// One step of a scan over the peers of a user, each with whether the user has blocked it.
    pub async fn scan_conversations(
        &self,
        user: &UserId,
        cursor: &str,
    ) -> Result<(Vec<(UserId, bool)>, ScanCursor), Error> {
        let keys = [self.keys.conversations(user.as_str())];
        let args = [cursor.as_bytes(), SCAN_STEP.as_bytes()];
        let (next, peers, blocked): (String, Vec<String>, Vec<u8>) =
            self.run(&SCAN_CONVERSATIONS, &keys, &args).await?;
        let peers = peers.into_iter().zip(blocked);
        let peers = peers.map(|(peer, blocked)| Ok((reply::peer(peer)?, blocked == 1)));
        Ok((
            peers.collect::<Result<_, Error>>()?,
            (next != "0").then_some(next),
        ))
    }

    /// A page of the stored messages of a conversation, newest first, and the position of the next
    /// page.
    pub async fn export_messages(
        &self,
        user: &UserId,
        peer: &UserId,
        before: Option<Seq>,
    ) -> Result<(Vec<StoredMessage>, Option<Seq>), Error> {
        let pair = Pair::of(user, peer);
        let keys = [self.keys.messages(&pair), self.keys.meta(&pair)];
        let before = before.map(|seq| seq.get().to_string()).unwrap_or_default();
        let args = [before.as_bytes(), MESSAGE_STEP.as_bytes()];
        let (messages, next): (Vec<String>, u64) = self.run(&EXPORT_MESSAGES, &keys, &args).await?;
        Ok((
            messages.into_iter().map(StoredMessage).collect(),
            reply::cursor(next)?,
        ))
    }

    /// Erases a user: replaces the user's messages by tombstones, one conversation after the other,
    /// and deletes the user's inbox. Returns `done: false` after [`ERASE_TIMEOUT`]; another call
    /// continues, also after a failure.
    pub async fn erase_user(&self, user: &UserId) -> Result<Erasure, Error> {
        let started = Instant::now();
        let mut erasure = Erasure::of(user.clone());
        let mut cursor = Some("0".to_owned());
        while let Some(from) = cursor {
            let (peers, next) = self.scan_conversations(user, &from).await?;
            cursor = next;
            for (peer, _) in peers {
                erasure.messages_erased += self.erase_messages(user, &peer).await?;
                self.forget_conversation(user, &peer).await?;
                erasure.conversations += 1;
                if started.elapsed() > ERASE_TIMEOUT {
                    return Ok(erasure);
                }
            }
        }
        // A user without conversations may have a journal and a presence.
        self.forget(user, "").await?;
        erasure.done = true;
        Ok(erasure)
    }

    /// Replaces all messages of a user to a peer by tombstones; returns their number.
    pub async fn erase_messages(&self, user: &UserId, peer: &UserId) -> Result<u64, Error> {
        let request = ConversationRequest {
            user,
            peer,
            charge: None,
        };
        let now = rfc3339(Utc::now());
        let (mut erased, mut before) = (0, String::new());
        loop {
            let args = [before.as_str(), MESSAGE_STEP, &now];
            let step = self
                .change::<(u64, u64)>(&ERASE_MESSAGES, request, &args)
                .await?;
            let (count, next) = step.value;
            erased += count;
            if next == 0 {
                return Ok(erased);
            }
            before = next.to_string();
        }
    }

    /// Deletes a conversation from a user's inbox.
    pub async fn forget_conversation(&self, user: &UserId, peer: &UserId) -> Result<u64, Error> {
        self.forget(user, peer.as_str()).await
    }

    async fn forget(&self, user: &UserId, peer: &str) -> Result<u64, Error> {
        let name = user.as_str();
        let keys = [
            self.keys.inbox(name),
            self.keys.conversations(name),
            self.keys.events(name),
            self.keys.presence(name),
        ];
        self.run::<u64>(&FORGET_CONVERSATION, &keys, &[peer.as_bytes()])
            .await
    }
}
