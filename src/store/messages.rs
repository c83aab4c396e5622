//! Messages, stored in Redis.

use chrono::Utc;
use redis::Value;

use super::change::ConversationRequest;
use super::script::{
    DELETE_MESSAGE, READ_MESSAGE, REPLACE_MESSAGE, RetrySafety, SEND_MESSAGE, Script,
};
use super::{RateLimited, Store, reply};
use crate::error::{Code, Error};
use crate::model::{
    Edit, Emoji, IdempotencyKey, Message, PendingMessage, Precondition, Seq, StoredMessage, rfc3339,
};
use crate::rate::RateLimitStatus;

/// How often a replacement is tried while the message changes concurrently.
pub(super) const ATTEMPTS: usize = 5;

/// A message that this request sent, or an earlier one with the same idempotency key.
pub struct Sent {
    /// Its position in the conversation.
    pub seq: Seq,
    pub message: StoredMessage,
    /// Whether an earlier request sent it.
    pub replayed: bool,
}

impl Store {
    /// Appends a message to its conversation and counts it as unread for the recipient. With an
    /// idempotency key, a repeated request returns the message that was sent first.
    pub async fn send_message(
        &self,
        message: &PendingMessage,
        retry: Option<&IdempotencyKey>,
        request: ConversationRequest<'_>,
    ) -> Result<RateLimited<Sent>, Error> {
        let json = message.json_after_seq()?;
        let reply_to = message
            .reply_to()
            .map(|seq| seq.get().to_string())
            .unwrap_or_default();
        let fingerprint = retry
            .map(|_| message.fingerprint())
            .transpose()?
            .unwrap_or_default();
        let pair = request.pair();
        let mut keys = self.change_keys(&pair, request);
        // Each key and each argument takes Redis time, so those at the end that say nothing are omitted.
        let expires_ms = message.expires_at().map(|time| time.timestamp_millis());
        let expires_ms = expires_ms.map(|time| time.to_string());
        let expiry = expires_ms
            .as_ref()
            .map(|time| (self.keys.schedule(&pair), time.as_bytes()));
        let sends_plainly = retry.is_none() && request.charge.is_none() && expiry.is_none();
        if !sends_plainly {
            let key = retry.map(|key| (request.user, key));
            keys.push(self.keys.idempotency(&pair, key));
        }
        let retention = self.retention.script_arg();
        let (from, to) = (request.user.as_str(), request.peer.as_str());
        let args = [from, to, &retention, &json, &reply_to, &fingerprint];
        let mut args = args.map(str::as_bytes).to_vec();
        if sends_plainly {
            while args.pop_if(|arg| arg.is_empty()).is_some() {}
        }
        let sent = self.send_or_find(retry.is_some(), request, keys, args, expiry);
        let sent = sent.await.map_err(with_pointer)?;
        let sent = sent.try_map(|reply| sent_message(reply, &json))?;
        if !sent.value.replayed {
            self.metrics.messages_sent.inc();
        }
        Ok(sent)
    }

    /// Runs the script of a send. On a cluster, where the charge is a call of its own, a request that the rate limit
    /// refuses can still be one that was sent before with the same idempotency key.
    async fn send_or_find(
        &self,
        retryable: bool,
        request: ConversationRequest<'_>,
        keys: Vec<String>,
        args: Vec<&[u8]>,
        expiry: Option<(String, &[u8])>,
    ) -> Result<RateLimited<Value>, Error> {
        let script = &SEND_MESSAGE;
        let safety = if retryable {
            RetrySafety::Harmless
        } else {
            RetrySafety::Never
        };
        let may_be_known = self.two_steps && retryable && request.charge.is_some();
        let again = may_be_known.then(|| (keys.clone(), args.clone()));
        let sent = self
            .run_change(script, safety, request, keys, args, expiry)
            .await;
        match (sent, again) {
            (Err(refusal), Some((keys, args))) if refusal.code == Code::RateLimited => {
                Box::pin(self.find_sent(script, request, keys, args, refusal.quota)).await
            }
            (sent, _) => sent,
        }
    }

    /// What a request that its rate limit refused, with this quota, sent before.
    async fn find_sent(
        &self,
        script: &'static Script,
        request: ConversationRequest<'_>,
        mut keys: Vec<String>,
        mut args: Vec<&[u8]>,
        quota: Option<RateLimitStatus>,
    ) -> Result<RateLimited<Value>, Error> {
        // A bucket without tokens, whose key is never written: refuses all but what was sent before.
        keys.push(self.keys.idempotency(&request.pair(), None));
        args.extend([b"1".as_slice(), b"0"]);
        let found = self.call(script, RetrySafety::Harmless, &keys, &args);
        let refused = |error: Error| Error { quota, ..error };
        let found = found.await.map_err(refused)?;
        let value = self.complete_change(request, found).await;
        Ok(RateLimited { value, quota })
    }

    /// One message of a conversation, if the user may see it.
    pub async fn read_message(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let stored = self.read_stored(request, seq).await?;
        Ok(stored.map(|message| message.at(Utc::now())))
    }

    /// The message as it is stored, even if it has expired.
    async fn read_stored(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let pair = request.pair();
        let keys = [self.keys.messages(&pair), self.keys.meta(&pair)];
        let seq = seq.get().to_string();
        let args = [request.user.as_str().as_bytes(), seq.as_bytes()];
        let read = self
            .run_charged::<String>(&READ_MESSAGE, request.charge, &keys, &args)
            .await?;
        Ok(read.map(StoredMessage))
    }

    /// Edits a message of the user.
    pub async fn edit_message(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        edit: &Edit,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let edit = |message: Message| message.edited(request.user, edit);
        self.replace_message(request, seq, precondition, true, edit)
            .await
    }

    /// Adds a reaction of the user to a message.
    pub async fn add_reaction(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        emoji: &Emoji,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let react = |message: Message| message.reacted(request.user, emoji);
        self.replace_message(request, seq, precondition, true, react)
            .await
    }

    /// Removes a reaction of the user from a message.
    pub async fn remove_reaction(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        emoji: &Emoji,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let unreact = |message: Message| Ok(message.unreacted(request.user, emoji));
        self.replace_message(request, seq, precondition, false, unreact)
            .await
    }

    /// Replaces a message of the user by a tombstone, for both users.
    pub async fn delete_message(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let seq = seq.get().to_string();
        let now = rfc3339(Utc::now());
        let args = [seq.as_str(), &now, precondition.script_arg()];
        let schedule = self.keys.schedule(&request.pair());
        let deleted = self
            .change_with_keys::<String>(&DELETE_MESSAGE, request, [schedule], &args)
            .await?;
        Ok(deleted.map(StoredMessage))
    }

    /// Replaces a message by the result of `rewrite`; `None` changes nothing. The JSON is parsed and
    /// serialized here, not in Lua, and the script compares and swaps: if the message has changed
    /// concurrently, `rewrite` runs again on the new message. If `adds`, the change shows the peer something
    /// new, and is refused if the peer has blocked the user.
    pub async fn replace_message(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        precondition: &Precondition,
        adds: bool,
        rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let free = ConversationRequest {
            charge: None,
            ..request
        };
        // The first read is charged, so that a refusal costs the caller too.
        let RateLimited { mut value, quota } = self.read_stored(request, seq).await?;
        for _ in 0..ATTEMPTS {
            let old = value;
            let new = match rewritten(&old, precondition, &rewrite)? {
                Rewritten::New(message) => message,
                Rewritten::Expired(value) => return Ok(RateLimited { value, quota }),
            };
            let position = seq.get().to_string();
            let adds = if adds { "1" } else { "0" };
            let args = [position.as_str(), &old.0, &new.0, adds];
            match self.change::<String>(&REPLACE_MESSAGE, free, &args).await {
                Err(error) if error.code == Code::MessageChanged => {}
                Err(error) => return Err(error),
                Ok(RateLimited { value, .. }) => {
                    let value = StoredMessage(value);
                    return Ok(RateLimited { value, quota });
                }
            }
            value = self.read_stored(free, seq).await?.value;
        }
        Err(Code::MessageChanged.into())
    }
}

/// What is to be stored in place of a message.
pub(super) enum Rewritten {
    /// This message, which can be the same.
    New(StoredMessage),
    /// Nothing: the message has expired and is not deleted yet, so it does not change. Its tombstone.
    Expired(StoredMessage),
}

/// The result of `rewrite` for a stored message.
pub(super) fn rewritten(
    old: &StoredMessage,
    precondition: &Precondition,
    rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
) -> Result<Rewritten, Error> {
    let shown = old.clone().at(Utc::now());
    let new = rewrite(shown.parse()?)?;
    // Checked last, because other errors take precedence (RFC 9110 section 13.2.1).
    if !precondition.is_met_by(&shown) {
        return Err(Code::PreconditionFailed.into());
    }
    Ok(match new {
        Some(message) => Rewritten::New(message.to_stored()?),
        None if shown != *old => Rewritten::Expired(shown),
        None => Rewritten::New(shown),
    })
}

/// Names the member or header that the script refused.
pub(super) fn with_pointer(error: Error) -> Error {
    match error.code {
        Code::ReplyToNotFound => Error::field(error.code, "/reply_to", error.detail),
        Code::IdempotencyKeyReused => {
            Error::field(error.code, "/header/idempotency-key", error.detail)
        }
        _ => error,
    }
}

/// The message in a reply of a script that sends: the one that was sent, whose JSON from its second
/// member on is `json`, or the one that an earlier request sent.
pub(super) fn sent_message(reply: Value, json: &str) -> Result<Sent, Error> {
    if let Value::Int(seq) = reply {
        return Ok(Sent {
            seq: reply::seq(seq.unsigned_abs())?,
            message: StoredMessage([r#"{"seq":"#, &seq.to_string(), ",", json].concat()),
            replayed: false,
        });
    }
    let message = redis::from_redis_value(reply).map(reply::message);
    let message = message.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    Ok(Sent {
        seq: reply::seq(message.seq().unwrap_or_default())?,
        message,
        replayed: true,
    })
}
