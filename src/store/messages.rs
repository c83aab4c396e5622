//! Messages in Redis.

use chrono::Utc;

use super::change::ConversationRequest;
use super::script::{DELETE_MESSAGE, READ_MESSAGE, REPLACE_MESSAGE, SEND_MESSAGE};
use super::{RateLimited, Store, reply};
use crate::error::{Code, Error};
use crate::model::{
    Edit, Emoji, IdempotencyKey, Message, Pair, PendingMessage, Seq, StoredMessage, rfc3339,
};

/// Seconds for which an idempotency key is remembered.
const RETRY_S: &str = "86400";
/// How often a message is read again that somebody else changed while its new text was made.
const ATTEMPTS: usize = 5;

/// A message that was sent, now or, with the same idempotency key, before.
pub struct Sent {
    /// Its place.
    pub seq: Seq,
    /// The message as it now is.
    pub message: StoredMessage,
    /// Whether it was sent before.
    pub replayed: bool,
}

/// The reply of `lua/send_message.lua`.
type Reply = (u64, u8, String);

impl Store {
    /// Appends a message to its conversation and counts it as unread for the recipient. With an
    /// idempotency key, sending it again answers with what was sent first.
    pub async fn send_message(
        &self,
        draft: &PendingMessage,
        retry: Option<&IdempotencyKey>,
        act: ConversationRequest<'_>,
    ) -> Result<RateLimited<Sent>, Error> {
        let json = draft.json_after_seq()?;
        let reply_to = draft
            .reply_to()
            .map(|seq| seq.get().to_string())
            .unwrap_or_default();
        let fingerprint = retry
            .map(|_| draft.fingerprint())
            .transpose()?
            .unwrap_or_default();
        let (from, to) = (act.user.as_str(), act.peer.as_str());
        let args = [from, to, &json, &reply_to, &fingerprint, RETRY_S];
        let sent = self.change::<Reply>(&SEND_MESSAGE, act, retry, &args).await;
        let sent = sent.map_err(|error| match error.code {
            Code::ReplyToNotFound => Error::field(error.code, "/reply_to", error.detail),
            Code::IdempotencyKeyReused => {
                Error::field(error.code, "/header/idempotency-key", error.detail)
            }
            _ => error,
        })?;
        sent.try_map(|(seq, replayed, message)| {
            let seq = reply::seq(seq)?;
            if replayed == 1 {
                return Ok(Sent {
                    seq,
                    message: StoredMessage(message),
                    replayed: true,
                });
            }
            self.metrics.messages_sent.inc();
            let message = [r#"{"seq":"#, &seq.get().to_string(), ",", &json].concat();
            Ok(Sent {
                seq,
                message: StoredMessage(message),
                replayed: false,
            })
        })
    }

    /// One message of a conversation, as its user may see it.
    pub async fn read_message(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let pair = Pair::of(act.user, act.peer);
        let keys = self.keys.conversation(&pair);
        let seq = seq.get().to_string();
        let args = [act.user.as_str().as_bytes(), seq.as_bytes()];
        let read = self
            .run_charged::<String>(&READ_MESSAGE, act.charge, &keys, &args)
            .await?;
        read.try_map(|message| Ok(StoredMessage(message)))
    }

    /// Changes a message by its author. `if_match` is the version it must have, if any.
    pub async fn edit_message(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
        edit: &Edit,
        if_match: Option<&str>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let edit = |message: Message| message.edited(act.user, edit).map(Some);
        self.replace_message(act, seq, if_match, edit).await
    }

    /// Adds a reaction of the user to a message.
    pub async fn add_reaction(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
        emoji: &Emoji,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let react = |message: Message| message.reacted(act.user, emoji);
        self.replace_message(act, seq, None, react).await
    }

    /// Takes a reaction of the user away from a message.
    pub async fn remove_reaction(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
        emoji: &Emoji,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let unreact = |message: Message| Ok(message.unreacted(act.user, emoji));
        self.replace_message(act, seq, None, unreact).await
    }

    /// Deletes a message for both users, by its author.
    pub async fn delete_message(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let seq = seq.get().to_string();
        let now = rfc3339(Utc::now());
        let args = [act.user.as_str(), act.peer.as_str(), &seq, &now];
        let deleted = self
            .change::<String>(&DELETE_MESSAGE, act, None, &args)
            .await?;
        deleted.try_map(|tombstone| Ok(StoredMessage(tombstone)))
    }

    /// Replaces a message by what `rewrite` makes of it; `None` leaves it as it is. JSON is read
    /// and written here, exactly, and the script takes the new text only if the old one still
    /// stands: somebody else's change in between is never lost, the work is done again on it.
    pub async fn replace_message(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
        if_match: Option<&str>,
        rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let free = ConversationRequest {
            charge: None,
            ..act
        };
        // Charged for once and before anything else, so that refusals are not to be had for free.
        let RateLimited { mut value, quota } = self.read_message(act, seq).await?;
        for _ in 0..ATTEMPTS {
            let old = value;
            if if_match.is_some_and(|wanted| wanted != "*" && wanted != old.etag()) {
                return Err(Code::PreconditionFailed.into());
            }
            let new = match rewrite(old.parse()?)? {
                Some(message) => message.to_stored()?,
                None => old.clone(),
            };
            let place = seq.get().to_string();
            let args = [place.as_str(), &old.0, &new.0];
            match self
                .change::<String>(&REPLACE_MESSAGE, free, None, &args)
                .await
            {
                Err(error) if error.code == Code::MessageChanged => {}
                Err(error) => return Err(error),
                Ok(RateLimited { value, .. }) => {
                    let value = StoredMessage(value);
                    return Ok(RateLimited { value, quota });
                }
            }
            value = self.read_message(free, seq).await?.value;
        }
        Err(Code::MessageChanged.into())
    }
}
