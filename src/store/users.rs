//! Export and erasure of all data of a user.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::change::ConversationRequest;
use super::script::{
    DROP_EVENTS, ERASE_MESSAGES, EXPORT_MESSAGES, FORGET_CONVERSATION, FORGET_ROW, FORGET_USER,
    SCAN_CONVERSATIONS,
};
use super::{PAGE_BYTES, Store, reply};
use crate::error::{Code, Error};
use crate::model::{Erasure, InboxRow, Pair, Peer, Seq, StoredMessage, UserId, rfc3339};

/// Approximate number of conversations in one step of a scan.
const SCAN_STEP: &str = "100";
/// Number of messages that one step reads or erases, which takes Redis up to 3 ms in the middle of a
/// million messages.
pub(super) const MESSAGE_STEP: &str = "100";
/// How long one call erases before it returns with `done: false`.
const ERASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of times that a page is erased while its messages change concurrently.
pub(super) const ATTEMPTS: usize = 5;

/// A part of a conversation, oldest message first.
pub struct ExportPage {
    /// The messages as they are stored.
    pub messages: Vec<StoredMessage>,
    /// The `after` of the next page; `None` on the last page.
    pub next: Option<Seq>,
    /// The seq of the newest message of the conversation.
    pub last_seq: Seq,
}

/// What [`Store::forget_conversation`] deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// What belonged to the user.
    OfUser,
    /// The whole conversation.
    Completely,
    /// What belonged to the erased user. The id is in use again, so its row stays.
    OfEarlierUser,
    /// Nothing, because updates of the inboxes are outstanding.
    Unconfirmed,
}

impl From<u8> for Forgotten {
    fn from(outcome: u8) -> Self {
        match outcome {
            0 => Self::OfUser,
            1 => Self::Completely,
            2 => Self::OfEarlierUser,
            _ => Self::Unconfirmed,
        }
    }
}

/// The position of a scan; `None` at the end.
type ScanCursor = Option<String>;

impl Store {
    /// One step of a scan over the peers of a user who are users, each with its row in the inbox.
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
        let (messages, next, last_seq): (Vec<String>, u64, u64) =
            self.run(&EXPORT_MESSAGES, &keys, &args).await?;
        Ok(ExportPage {
            messages: reply::messages(messages.into_iter().rev()),
            next: reply::cursor(next)?,
            last_seq: reply::seq(last_seq)?,
        })
    }

    /// Erases a user, conversation by conversation: their messages become tombstones, and their reactions
    /// and their inbox are deleted; they leave all rooms. Returns with `done: false` after 10 seconds; another call
    /// continues, also after an interruption.
    pub async fn erase_user(&self, user: &UserId) -> Result<Erasure, Error> {
        let started = Instant::now();
        let mut erasure = Erasure::of(user.clone());
        if self.two_steps {
            // Otherwise a conversation whose row is not written yet is not found.
            self.complete_updates_of_user(user).await?;
        }
        // Rooms that the user has just joined may not be in the inbox yet.
        for room in self.list_reserved_rooms(user).await? {
            erasure.messages_erased += self.erase_from_room(user, &room).await?;
            erasure.conversations += 1;
            if started.elapsed() > ERASE_TIMEOUT {
                return Ok(erasure);
            }
        }
        let mut cursor = Some("0".to_owned());
        while let Some(from) = cursor {
            let (peers, next) = self.scan_conversations(user, &from).await?;
            cursor = next;
            for (peer, _) in peers {
                erasure.messages_erased += match &peer {
                    Peer::User(peer) => self.erase_conversation(user, peer).await?,
                    Peer::Room(room) => self.erase_from_room(user, room).await?,
                };
                erasure.conversations += 1;
                if started.elapsed() > ERASE_TIMEOUT {
                    return Ok(erasure);
                }
            }
        }
        self.forget_user(user).await?;
        erasure.done = true;
        Ok(erasure)
    }

    /// Erases the data of a user in a conversation. The row in the inbox is deleted last, so that an
    /// interrupted erasure finds the conversation again.
    async fn erase_conversation(&self, user: &UserId, peer: &UserId) -> Result<u64, Error> {
        let mut page = self.export_messages(user, peer, Seq::default()).await?;
        // Later messages belong to a new user with the same id.
        let last = page.last_seq;
        let mut erased = self.erase_page(user, peer, &page).await?;
        while let Some(next) = page.next.filter(|next| *next < last) {
            page = self.export_messages(user, peer, next).await?;
            erased += self.erase_page(user, peer, &page).await?;
        }
        for _ in 0..ATTEMPTS {
            if self.two_steps {
                self.complete_updates(user, peer).await?;
            }
            if self.forget_conversation(user, peer, last).await? != Forgotten::Unconfirmed {
                return Ok(erased);
            }
        }
        Err(Code::Unavailable.into())
    }

    /// Makes the updates of both inboxes that may be outstanding, and removes the pair from the outbox.
    async fn complete_updates(&self, user: &UserId, peer: &UserId) -> Result<(), Error> {
        if !self.repeat_updates(user, peer).await? {
            return Err(Code::Unavailable.into());
        }
        self.confirm_updates().await
    }

    /// Erases the data of a user in a page. Repeated if a message changes concurrently.
    async fn erase_page(
        &self,
        user: &UserId,
        peer: &UserId,
        page: &ExportPage,
    ) -> Result<u64, Error> {
        let mut erased = 0;
        let Some(oldest) = page.messages.first().and_then(StoredMessage::seq) else {
            return Ok(erased);
        };
        let (some, mut missed) = self.erase_messages(user, peer, &page.messages).await?;
        erased += some;
        for _ in 0..ATTEMPTS {
            if missed == 0 {
                return Ok(erased);
            }
            let before = reply::seq(oldest.saturating_sub(1))?;
            let mut again = self.export_messages(user, peer, before).await?.messages;
            again.truncate(page.messages.len());
            let (some, still) = self.erase_messages(user, peer, &again).await?;
            erased += some;
            missed = still;
        }
        Err(Code::MessageChanged.into())
    }

    /// Replaces the messages of a user in a part of a conversation by tombstones, and removes the user's
    /// reactions from the messages of the peer. Returns the number of new tombstones, and the number of
    /// messages that changed concurrently and keep a reaction.
    pub async fn erase_messages(
        &self,
        user: &UserId,
        peer: &UserId,
        part: &[StoredMessage],
    ) -> Result<(u64, u64), Error> {
        let seq_of = |message: Option<&StoredMessage>| message.and_then(StoredMessage::seq);
        let (Some(low), Some(high)) = (seq_of(part.first()), seq_of(part.last())) else {
            return Ok((0, 0));
        };
        let mut args = vec![low.to_string(), high.to_string(), rfc3339(Utc::now())];
        args.extend(without_reactions(user, part)?);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let request = erasing(user, peer);
        let schedule = self.keys.schedule(&request.pair());
        let erased = self.change_with_keys(&ERASE_MESSAGES, request, [schedule], &args);
        Ok(erased.await?.value)
    }

    /// Deletes a conversation for an erased user, up to a message.
    pub async fn forget_conversation(
        &self,
        user: &UserId,
        peer: &UserId,
        last: Seq,
    ) -> Result<Forgotten, Error> {
        let last = last.get().to_string();
        let request = erasing(user, peer);
        let pair = request.pair();
        let mut keys = self.change_keys(&pair, request);
        keys.extend([self.keys.imported(&pair), self.keys.schedule(&pair)]);
        let retention = self.retention.script_arg();
        let args = [user.as_str(), peer.as_str(), &retention, &last].map(str::as_bytes);
        let committed = self.first_step::<u8>(&FORGET_CONVERSATION, &keys, &args);
        let committed = committed.await?;
        let version = committed.version.clone().unwrap_or_default();
        let outcome = self.complete_change(request, committed).await.into();
        if !self.two_steps {
            return Ok(outcome);
        }
        if outcome != Forgotten::Unconfirmed {
            self.complete_updates(user, peer).await?;
            self.drop_events(peer).await?;
        }
        // Last, so that another call finds the conversation again if this one is interrupted.
        if matches!(outcome, Forgotten::OfUser | Forgotten::Completely) {
            self.forget_row(user, peer, &version).await?;
        }
        Ok(outcome)
    }

    /// Drops the kept events of a user, which contain texts of an erased peer.
    pub async fn drop_events(&self, user: &UserId) -> Result<(), Error> {
        let keys = [self.keys.events(user.as_str())];
        self.run::<u8>(&DROP_EVENTS, &keys, &[]).await.map(|_| ())
    }

    /// Removes a row of an erased user, unless it is newer than a version of the conversation. Late updates up to
    /// that version do not bring it back.
    pub async fn forget_row(
        &self,
        user: &UserId,
        peer: &UserId,
        version: &str,
    ) -> Result<(), Error> {
        let mut keys = self.keys.user(user.as_str()).to_vec();
        keys.push(self.keys.forgotten(user.as_str(), peer.as_str()));
        let args = [peer.as_str(), version].map(str::as_bytes);
        self.run::<u8>(&FORGET_ROW, &keys, &args).await.map(|_| ())
    }

    /// Deletes the remaining data of a user whose conversations were deleted. Returns the number of
    /// conversations that remain because the id is in use again.
    pub async fn forget_user(&self, user: &UserId) -> Result<u64, Error> {
        let name = user.as_str();
        let keys = [
            self.keys.inbox(name),
            self.keys.conversations(name),
            self.keys.events(name),
            self.keys.presence(name),
            self.keys.leases(name),
            self.keys.pinning(name),
            self.keys.feed(name),
        ];
        self.run::<u64>(&FORGET_USER, &keys, &[name.as_bytes()])
            .await
    }
}

/// For each message of others that has reactions of a user: its seq, the message, and the same without them.
pub(super) fn without_reactions(
    user: &UserId,
    part: &[StoredMessage],
) -> Result<Vec<String>, Error> {
    let mut replaced = Vec::new();
    // Most messages have no reactions and need not be parsed.
    for old in part.iter().filter(|old| old.0.contains("\"reactions\"")) {
        let message = old.parse()?;
        if message.from != *user
            && let Some(new) = message.without_reactions_of(user)
        {
            let seq = new.seq.get().to_string();
            replaced.extend([seq, old.0.clone(), new.to_stored()?.0]);
        }
    }
    Ok(replaced)
}

fn erasing<'a>(user: &'a UserId, peer: &'a UserId) -> ConversationRequest<'a> {
    ConversationRequest {
        user,
        peer,
        charge: None,
    }
}
