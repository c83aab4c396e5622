//! A user's whole data in Redis: taken away, erased.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::change::ConversationRequest;
use super::script::{ERASE_MESSAGES, EXPORT_MESSAGES, FORGET_CONVERSATION, SCAN_CONVERSATIONS};
use super::{Store, reply};
use crate::error::Error;
use crate::model::{Erasure, Pair, Seq, StoredMessage, UserId, rfc3339};

/// Conversations that one step of a scan looks at, about.
const SCAN_STEP: &str = "100";
/// Messages that one step reads or erases: below a millisecond of Redis.
const MESSAGE_STEP: &str = "200";
/// How long one call erases before it answers that there is more to do.
const ERASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a scan goes on; the end is `None`.
type Cursor = Option<String>;

impl Store {
    /// Some of the users with whom a user ever had a conversation, each with whether the user
    /// blocked them, and where to go on.
    pub async fn scan_conversations(
        &self,
        user: &UserId,
        cursor: &str,
    ) -> Result<(Vec<(UserId, bool)>, Cursor), Error> {
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

    /// A part of a conversation as it is stored, newest first, and where to go on.
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

    /// Erases a user: what they wrote becomes tombstones, conversation by conversation, and their
    /// inbox goes. Stops after a while with `done: false`; what is left is found by calling again,
    /// as it is after an interruption.
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
        // Whoever only ever listened has left something too.
        self.forget(user, "").await?;
        erasure.done = true;
        Ok(erasure)
    }

    /// Turns all that a user wrote to a peer into tombstones; answers how much that was.
    pub async fn erase_messages(&self, user: &UserId, peer: &UserId) -> Result<u64, Error> {
        let act = ConversationRequest {
            user,
            peer,
            charge: None,
        };
        let now = rfc3339(Utc::now());
        let (mut erased, mut before) = (0, String::new());
        loop {
            let args = [before.as_str(), MESSAGE_STEP, &now];
            let step = self
                .change::<(u64, u64)>(&ERASE_MESSAGES, act, &args)
                .await?;
            let (some, next) = step.value;
            erased += some;
            if next == 0 {
                return Ok(erased);
            }
            before = next.to_string();
        }
    }

    /// Takes a conversation out of a user's inbox for good.
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
