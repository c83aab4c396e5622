//! Messages, stored in Redis.

use chrono::Utc;
use redis::Value;

use super::archived::{ArchiveCalls, archive_reply};
use super::change::ConversationRequest;
use super::script::{
    DELETE_MESSAGE, READ_MESSAGE, REPLACE_MESSAGE, RetrySafety, SEND_MESSAGE, Script,
};
use super::{RateLimited, Store, flag, replacement, reply};
use crate::error::{Code, Error};
use crate::model::{
    IdempotencyKey, Message, PendingMessage, Precondition, Seq, StoredMessage, rfc3339,
};
use crate::rate::RateLimitStatus;

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
        let schedule = self.keys.schedule(pair.as_str());
        let expiry = expires_ms
            .as_ref()
            .map(|time| (schedule.clone(), time.as_bytes()));
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
        let again = retry.map(|_| (keys.clone(), args.clone()));
        let sent = self.send_or_find(retry.is_some(), request, keys, args, expiry);
        let sent = sent.await.map_err(with_pointer)?;
        let sent = match again {
            Some((keys, args)) if matches!(sent.value, Value::Array(_)) => {
                let expires_ms = expires_ms.unwrap_or_default();
                let keys = [keys, vec![schedule.clone(), schedule]].concat();
                let args = [args, vec![b"", b"", expires_ms.as_bytes()]].concat();
                Box::pin(self.send_again(request, sent, keys, args)).await?
            }
            _ => sent,
        };
        let sent = sent.try_map(|reply| sent_message(reply, &json))?;
        self.note_sent(pair.as_str(), &sent.value);
        Ok(sent)
    }

    /// Counts a message that was sent, after which the conversation may be long.
    pub(super) fn note_sent(&self, conversation: &str, sent: &Sent) {
        if sent.replayed {
            return;
        }
        self.metrics.messages_sent.inc();
        if let Some(archive) = &self.archive {
            archive.note_seq(conversation, sent.seq);
        }
    }

    /// Completes a send whose idempotency key names a message of the archive. `keys` and `args` are those of the first
    /// call, without a charge.
    async fn send_again(
        &self,
        request: ConversationRequest<'_>,
        mut reply: RateLimited<Value>,
        keys: Vec<String>,
        args: Vec<&[u8]>,
    ) -> Result<RateLimited<Value>, Error> {
        let free = ConversationRequest {
            charge: None,
            ..request
        };
        let pair = request.pair();
        let mut calls = ArchiveCalls::of(pair.as_str());
        loop {
            if let Some(sent) = calls.change(self, archive_reply(reply)?).await? {
                return Ok(sent);
            }
            let args = [args.as_slice(), &[calls.held.as_bytes()]].concat();
            let again = self.send_or_find(true, free, keys.clone(), args, None);
            reply = again.await.map_err(with_pointer)?;
        }
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
        let pair = request.pair();
        let mut calls = ArchiveCalls::of(pair.as_str());
        let stored = self.read_stored(request, seq, &mut calls).await?;
        Ok(stored.map(|message| message.at(Utc::now())))
    }

    /// The message as it is stored, even if it has expired.
    async fn read_stored(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        calls: &mut ArchiveCalls<'_>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let pair = request.pair();
        let keys = [self.keys.messages(&pair), self.keys.meta(&pair)];
        let seq = seq.get().to_string();
        let args = [request.user.as_str().as_bytes(), seq.as_bytes()];
        loop {
            let charge = calls.charge(request.charge);
            let reply = self.run_charged(&READ_MESSAGE, charge, &keys, &args);
            if let Some(read) = calls.read(self, reply.await?).await? {
                return Ok(read.map(StoredMessage));
            }
        }
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
        let pair = request.pair();
        let mut calls = ArchiveCalls::of(pair.as_str());
        loop {
            let charge = calls.charge(request.charge);
            let request = ConversationRequest { charge, ..request };
            let args = [&seq, &now, precondition.script_arg(), &calls.held];
            let schedule = self.keys.schedule(pair.as_str());
            let keys = [schedule, self.keys.garbage(pair.as_str())];
            let reply = self.change_with_keys(&DELETE_MESSAGE, request, keys, &args);
            if let Some(deleted) = calls.change(self, reply.await?).await? {
                return Ok(deleted.map(StoredMessage));
            }
        }
    }

    /// Replaces a message by the result of `rewrite`, see [`replacement::replace`]. If `adds`, the change shows the peer
    /// something new, and is refused if the peer has blocked the user.
    pub async fn replace_message(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        precondition: &Precondition,
        adds: bool,
        rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let pair = request.pair();
        let mut calls = ArchiveCalls::of(pair.as_str());
        let mut first = self.read_stored(request, seq, &mut calls).await?;
        let free = ConversationRequest {
            charge: None,
            ..request
        };
        let read = async || {
            let mut calls = ArchiveCalls::of(pair.as_str());
            self.read_stored(free, seq, &mut calls).await
        };
        let turn = calls.take_turn(self).await?;
        if turn.as_ref().is_some_and(|(_, has_waited)| *has_waited) {
            first.value = read().await?.value;
        }
        let (position, adds) = (seq.get().to_string(), flag(adds));
        let swap = async |old: &str, new: &str| {
            let mut calls = ArchiveCalls::of(pair.as_str()).in_turn(turn.is_some());
            loop {
                let args = [position.as_str(), old, new, adds, &calls.held];
                let garbage = self.keys.garbage(pair.as_str());
                let reply = self.change_with_keys(&REPLACE_MESSAGE, free, [garbage], &args);
                if let Some(replaced) = calls.change(self, reply.await?).await? {
                    return Ok(replaced);
                }
            }
        };
        replacement::replace(first, precondition, rewrite, read, swap).await
    }
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
