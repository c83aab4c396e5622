//! Messages in Redis.

use chrono::Utc;

use super::change::ConversationRequest;
use redis::Value;

use super::script::{DELETE_MESSAGE, READ_MESSAGE, REPLACE_MESSAGE, RetrySafety, SEND_MESSAGE};
use super::{RateLimited, Store, reply};
use crate::error::{Code, Error};
use crate::model::{
    Edit, Emoji, IdempotencyKey, Message, PendingMessage, Seq, StoredMessage, rfc3339,
};

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
        let pair = act.pair();
        let mut keys = self.change_keys(&pair, act);
        keys.push(
            self.keys
                .idempotency(&pair, retry.map(|key| (act.user, key))),
        );
        let retention = self.retention.script_arg();
        let (from, to) = (act.user.as_str(), act.peer.as_str());
        let args = [from, to, &retention, &json, &reply_to, &fingerprint];
        let mut args = args.map(str::as_bytes).to_vec();
        if act.charge.is_none() {
            // Each argument takes Redis some 60 ns, so those at the end that are empty are left out.
            while args.pop_if(|arg| arg.is_empty()).is_some() {}
        }
        let safety = match retry {
            Some(_) => RetrySafety::Harmless,
            None => RetrySafety::Never,
        };
        let sent = self
            .run_rate_limited::<Value>(&SEND_MESSAGE, safety, act.charge, keys, args)
            .await;
        let sent = sent.map_err(|error| match error.code {
            Code::ReplyToNotFound => Error::field(error.code, "/reply_to", error.detail),
            Code::IdempotencyKeyReused => {
                Error::field(error.code, "/header/idempotency-key", error.detail)
            }
            _ => error,
        })?;
        sent.try_map(|reply| match reply {
            Value::Int(seq) => {
                self.metrics.messages_sent.inc();
                Ok(Sent {
                    seq: reply::seq(seq.unsigned_abs())?,
                    message: StoredMessage([r#"{"seq":"#, &seq.to_string(), ",", &json].concat()),
                    replayed: false,
                })
            }
            stored => {
                let message = redis::from_redis_value(stored).map(StoredMessage);
                let message = message.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
                Ok(Sent {
                    seq: reply::seq(message.seq().unwrap_or_default())?,
                    message,
                    replayed: true,
                })
            }
        })
    }

    /// One message of a conversation, as its user may see it.
    pub async fn read_message(
        &self,
        act: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let pair = act.pair();
        let keys = [self.keys.messages(&pair), self.keys.meta(&pair)];
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
        let args = [seq.as_str(), &now];
        let deleted = self.change::<String>(&DELETE_MESSAGE, act, &args).await?;
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
            match self.change::<String>(&REPLACE_MESSAGE, free, &args).await {
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
