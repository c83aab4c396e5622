//! Sending, reading and changing messages.

use super::{Operations, Target, target};
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{
    Edit, Emoji, IdempotencyKey, Message, MessageInput, Participants, Peer, PendingMessage,
    Precondition, Seq, StoredMessage, UserId,
};
use crate::rate::RateLimited;

/// A stored message and its position.
pub struct SentMessage {
    pub from: UserId,
    pub to: Peer,
    /// Its position in the conversation.
    pub seq: Seq,
    /// The message as it is now.
    pub message: StoredMessage,
    /// Whether an earlier request with the same idempotency key stored it.
    pub replayed: bool,
}

impl Operations {
    /// Appends a message to its conversation and counts it as unread for the recipient.
    ///
    /// Users send as themselves and may leave out `from`; backends send as any user. Repeating a
    /// request with the same idempotency key returns the message that the first one stored. Without
    /// a key, the client id of the message is the key.
    pub async fn send_message(
        &self,
        caller: &Caller,
        mut message: MessageInput,
        key: Option<&IdempotencyKey>,
    ) -> Result<RateLimited<SentMessage>, Error> {
        let from = caller.acting_as(message.from.take(), "/from")?;
        let named = key.is_none().then_some(&message.client_id);
        let named = named.and_then(Option::as_ref).map(IdempotencyKey::from);
        let message = PendingMessage::new(from, message)?;
        let charge = self.charge_send(caller);
        let key = key.or(named.as_ref());
        let sent = match Target::of(message.from(), message.to(), charge.as_ref()) {
            Target::Pair(request) => self.store.send_message(&message, key, request).await,
            Target::Room(request) => self.store.send_room_message(&message, key, request).await,
        };
        let sent = sent.map_err(|error| match named {
            Some(_) => error.with_pointer("/header/idempotency-key", "/client_id"),
            None => error,
        })?;
        let (from, to) = message.into_participants();
        Ok(sent.map(|sent| SentMessage {
            from,
            to,
            seq: sent.seq,
            message: sent.message,
            replayed: sent.replayed,
        }))
    }

    /// Returns one message as `user` sees it. Marks nothing as read.
    pub async fn read_message(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.read_message(request, seq).await,
            Target::Room(request) => self.store.read_room_message(request, seq).await,
        }
    }

    /// Replaces parts of a message. Refuses anyone but its author.
    pub async fn edit_message(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
        edit: Edit,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let charge = self.authorize_send(caller, users.user())?;
        let edit = edit.checked()?;
        let adds = true;
        let change = |message: Message| message.edited(users.user(), &edit);
        match target(users, charge.as_ref()) {
            Target::Pair(request) => {
                self.store
                    .replace_message(request, seq, precondition, adds, change)
                    .await
            }
            Target::Room(request) => {
                self.store
                    .replace_room_message(request, seq, precondition, change)
                    .await
            }
        }
    }

    /// Replaces a message by a tombstone for everybody. Refuses anyone but its author, and in a room its admins.
    pub async fn delete_message(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let charge = self.authorize_send(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.delete_message(request, seq, precondition).await,
            Target::Room(request) => {
                self.store
                    .delete_room_message(request, seq, precondition)
                    .await
            }
        }
    }

    /// Adds a reaction of `user` to a message of either participant.
    pub async fn add_reaction(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
        emoji: &Emoji,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let charge = self.authorize_send(caller, users.user())?;
        let adds = true;
        let change = |message: Message| message.reacted(users.user(), emoji);
        match target(users, charge.as_ref()) {
            Target::Pair(request) => {
                self.store
                    .replace_message(request, seq, precondition, adds, change)
                    .await
            }
            Target::Room(request) => {
                self.store
                    .replace_room_message(request, seq, precondition, change)
                    .await
            }
        }
    }

    /// Removes a reaction of `user` from a message.
    pub async fn remove_reaction(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
        emoji: &Emoji,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let charge = self.authorize_send(caller, users.user())?;
        let adds = false;
        let change = |message: Message| Ok(message.unreacted(users.user(), emoji));
        match target(users, charge.as_ref()) {
            Target::Pair(request) => {
                self.store
                    .replace_message(request, seq, precondition, adds, change)
                    .await
            }
            Target::Room(request) => {
                self.store
                    .replace_room_message(request, seq, precondition, change)
                    .await
            }
        }
    }
}
