//! Erasure of all data of a user.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::Store;
use super::change::ConversationRequest;
use super::script::{DROP_EVENTS, ERASE_MESSAGES, FORGET_CONVERSATION, FORGET_ROW, FORGET_USER};
use super::users::ExportPage;
use crate::error::{Code, Error};
use crate::model::{Erasure, Peer, Seq, StoredMessage, UserId, rfc3339};

/// How long one call erases before it returns with `done: false`.
const ERASE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of times that a page is erased while its messages change concurrently.
const ATTEMPTS: usize = 5;

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
    /// Some objects of a long conversation in the archive. Another call continues.
    Partly,
}

impl From<u8> for Forgotten {
    fn from(outcome: u8) -> Self {
        match outcome {
            0 => Self::OfUser,
            1 => Self::Completely,
            2 => Self::OfEarlierUser,
            3 => Self::Unconfirmed,
            _ => Self::Partly,
        }
    }
}

impl Store {
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
        self.erase_dead_letters(user).await?;
        self.forget_user(user).await?;
        erasure.done = true;
        Ok(erasure)
    }

    /// Erases the data of a user in a conversation. The row in the inbox is deleted last, so that an
    /// interrupted erasure finds the conversation again.
    async fn erase_conversation(&self, user: &UserId, peer: &UserId) -> Result<u64, Error> {
        let with = peer.clone().into();
        let (erased, last) = self.erase_messages_with(user, &with, None).await?;
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            if self.two_steps {
                self.complete_updates(user, peer).await?;
            }
            match self.forget_conversation(user, peer, last).await? {
                Forgotten::Unconfirmed => attempts += 1,
                Forgotten::Partly => attempts = 0,
                _ => return Ok(erased),
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

    /// Erases the messages of a user in a conversation up to the seq `last`, or up to the newest: later ones belong to a
    /// new user with the same id. Returns the number of messages, and that seq.
    pub(super) async fn erase_messages_with(
        &self,
        user: &UserId,
        peer: &Peer,
        mut last: Option<Seq>,
    ) -> Result<(u64, Seq), Error> {
        let (mut erased, mut after, mut attempts) = (0, Seq::default(), 0);
        loop {
            let mut page = self.export_part(user, peer, after).await?;
            let end = *last.get_or_insert(page.last_seq);
            if page.is_archived {
                let archived = self.erase_archived(user, peer, after, end);
                let (count, next) = Box::pin(archived).await?;
                (erased, after) = (erased + count, next);
                if after < end {
                    continue;
                }
                return Ok((erased, end));
            }
            page.messages
                .retain(|message| message.seq() <= Some(end.get()));
            let (count, missed) = self.erase_part(user, peer, &page.messages).await?;
            erased += count;
            // Again if messages changed concurrently, or moved to the archive.
            if missed > 0 {
                attempts += 1;
                if attempts > ATTEMPTS {
                    return Err(Code::MessageChanged.into());
                }
                continue;
            }
            match page.next.filter(|next| *next < end) {
                Some(next) => (after, attempts) = (next, 0),
                None => return Ok((erased, end)),
            }
        }
    }

    async fn export_part(
        &self,
        user: &UserId,
        peer: &Peer,
        after: Seq,
    ) -> Result<ExportPage, Error> {
        match peer {
            Peer::User(peer) => self.export_messages(user, peer, after).await,
            Peer::Room(room) => self.export_room_messages(user, room, after, false).await,
        }
    }

    async fn erase_part(
        &self,
        user: &UserId,
        peer: &Peer,
        part: &[StoredMessage],
    ) -> Result<(u64, u64), Error> {
        match peer {
            Peer::User(peer) => self.erase_messages(user, peer, part).await,
            Peer::Room(room) => self.erase_room_messages(user, room, part).await,
        }
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
        let Some(args) = erasure_args(user, part)? else {
            return Ok((0, 0));
        };
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let request = erasing(user, peer);
        let schedule = self.keys.schedule(request.pair().as_str());
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
        keys.extend([
            self.keys.imported(&pair),
            self.keys.schedule(pair.as_str()),
            self.keys.garbage(pair.as_str()),
        ]);
        let retention = self.retention.script_arg();
        let (folder, grace_ms) = self.archive_args(pair.as_str());
        let users = [user.as_str(), peer.as_str()];
        let args = [users[0], users[1], &retention, &last, &folder, &grace_ms].map(str::as_bytes);
        let committed = self.first_step::<u8>(&FORGET_CONVERSATION, &keys, &args);
        let committed = committed.await?;
        let version = committed.version.clone().unwrap_or_default();
        let outcome = self.complete_change(request, committed).await.into();
        if !self.two_steps {
            return Ok(outcome);
        }
        if !matches!(outcome, Forgotten::Unconfirmed | Forgotten::Partly) {
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
        keys.extend(self.badge_keys(user.as_str()));
        let args = [user.as_str(), peer.as_str(), version].map(str::as_bytes);
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

/// The arguments of a script that erases what a user wrote in a part of a conversation; `None` if the part is empty. They
/// are the seqs of its ends and the time; then for each message of others that has reactions of the user, its seq, the
/// message, and the same without them.
pub(super) fn erasure_args(
    user: &UserId,
    part: &[StoredMessage],
) -> Result<Option<Vec<String>>, Error> {
    let seq_of = |message: Option<&StoredMessage>| message.and_then(StoredMessage::seq);
    let (Some(low), Some(high)) = (seq_of(part.first()), seq_of(part.last())) else {
        return Ok(None);
    };
    let mut args = vec![low.to_string(), high.to_string(), rfc3339(Utc::now())];
    for old in part.iter().filter(|old| !old.is_from(user)) {
        if let (Some(seq), Some(new)) = (old.seq(), without_reactions(old, user)?) {
            args.extend([seq.to_string(), old.0.clone(), new.0]);
        }
    }
    Ok(Some(args))
}

/// A message without the reactions of a user; `None` if it has none of them.
pub(super) fn without_reactions(
    stored: &StoredMessage,
    user: &UserId,
) -> Result<Option<StoredMessage>, Error> {
    // Most messages have no reactions and need not be parsed.
    if !stored.0.contains("\"reactions\"") {
        return Ok(None);
    }
    let without = stored.parse()?.without_reactions_of(user);
    without.map(|message| message.to_stored()).transpose()
}

fn erasing<'a>(user: &'a UserId, peer: &'a UserId) -> ConversationRequest<'a> {
    ConversationRequest {
        user,
        peer,
        charge: None,
    }
}
