//! Messages of rooms, stored in Redis.

use chrono::Utc;
use redis::Value;

use super::archived::{ArchiveCalls, archive_reply};
use super::messages::{sent_message, with_pointer};
use super::script::{
    DELETE_ROOM_MESSAGE, EXPIRE_ROOM_MESSAGE, READ_ROOM_MESSAGE, REPLACE_ROOM_MESSAGE, RetrySafety,
    SEND_ROOM_MESSAGE,
};
use super::{RateLimited, RoomRequest, Sent, Store, replacement};
use crate::error::{Code, Error};
use crate::model::{
    IdempotencyKey, Message, PendingMessage, Precondition, RoomName, Seq, StoredMessage, UserId,
    rfc3339,
};

impl Store {
    /// Appends a message to a room. With an idempotency key, a repeated request returns the message that was sent
    /// first.
    pub async fn send_room_message(
        &self,
        message: &PendingMessage,
        retry: Option<&IdempotencyKey>,
        request: RoomRequest<'_>,
    ) -> Result<RateLimited<Sent>, Error> {
        let json = message.json_after_seq()?;
        let text = |number: Option<String>| number.unwrap_or_default();
        let reply_to = text(message.reply_to().map(|seq| seq.get().to_string()));
        let fingerprint = text(retry.map(|_| message.fingerprint()).transpose()?);
        let expires_at = message.expires_at();
        let expires_ms = text(expires_at.map(|time| time.timestamp_millis().to_string()));
        let mut keys = self.keys.room(request.room).to_vec();
        let all_args = [json.as_str(), &reply_to, &fingerprint, &expires_ms, ""];
        let mut args = all_args.to_vec();
        if retry.is_none() && request.charge.is_none() && expires_at.is_none() {
            // As for a pair, those at the end that say nothing are omitted.
            while args.pop_if(|arg| arg.is_empty()).is_some() {}
        } else {
            let key = retry.map(|key| (request.user, key));
            keys.push(self.keys.room_idempotency(request.room, key));
            keys.push(self.keys.schedule(request.room.as_str()));
        }
        let again = retry.map(|_| keys.clone());
        let sent = self
            .send_or_find_in_room(request, retry.is_some(), keys, &args)
            .await;
        let sent = sent.map_err(with_pointer)?;
        let sent = match again {
            Some(keys) if matches!(sent.value, Value::Array(_)) => {
                Box::pin(self.send_again_in_room(request, sent, &keys, all_args)).await?
            }
            _ => sent,
        };
        let sent = sent.try_map(|reply| sent_message(reply, &json))?;
        self.note_sent(request.room.as_str(), &sent.value);
        Ok(sent)
    }

    /// Completes a send whose idempotency key names a message of the archive.
    async fn send_again_in_room(
        &self,
        request: RoomRequest<'_>,
        mut reply: RateLimited<Value>,
        keys: &[String],
        [json, reply_to, fingerprint, expires_ms, _]: [&str; 5],
    ) -> Result<RateLimited<Value>, Error> {
        let charge = None;
        let free = RoomRequest { charge, ..request };
        let mut calls = ArchiveCalls::of(request.room.as_str());
        loop {
            if let Some(sent) = calls.change(self, archive_reply(reply)?).await? {
                return Ok(sent);
            }
            let args = [json, reply_to, fingerprint, expires_ms, &calls.held];
            let again = self.send_or_find_in_room(free, true, keys.to_vec(), &args);
            reply = again.await.map_err(with_pointer)?;
        }
    }

    /// Runs the script of a send. On a cluster, where the charge is a call of its own, a request that the rate limit
    /// refuses can still be one that was sent before with the same idempotency key.
    async fn send_or_find_in_room(
        &self,
        request: RoomRequest<'_>,
        retryable: bool,
        keys: Vec<String>,
        args: &[&str],
    ) -> Result<RateLimited<Value>, Error> {
        let safety = if retryable {
            RetrySafety::Harmless
        } else {
            RetrySafety::Never
        };
        let script = &SEND_ROOM_MESSAGE;
        let may_be_known = self.two_steps && retryable && request.charge.is_some();
        let again = may_be_known.then(|| keys.clone());
        let sent = self.run_room_change(script, safety, request, keys, args);
        match (sent.await, again) {
            (Err(refusal), Some(mut keys)) if refusal.code == Code::RateLimited => {
                // A bucket without tokens, whose key is never written: refuses all but what was sent before.
                keys.push(self.keys.room_idempotency(request.room, None));
                let found = Box::pin(self.find_in_room(script, request, &keys, args)).await;
                let quota = refusal.quota;
                let value = found.map_err(|error| Error { quota, ..error })?;
                Ok(RateLimited { value, quota })
            }
            (sent, _) => sent,
        }
    }

    /// One message of a room, if the user may see it.
    pub async fn read_room_message(
        &self,
        request: RoomRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let mut calls = ArchiveCalls::of(request.room.as_str());
        let stored = self
            .read_room_stored(request, seq, false, &mut calls)
            .await?;
        Ok(stored.map(|message| message.at(Utc::now())))
    }

    /// The message as it is stored, even if it has expired. If the user is about to change it, strangers are refused.
    async fn read_room_stored(
        &self,
        request: RoomRequest<'_>,
        seq: Seq,
        changes: bool,
        calls: &mut ArchiveCalls<'_>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let keys = self.keys.room(request.room);
        let seq = seq.get().to_string();
        let changes = if changes { "1" } else { "0" };
        let args = [request.room.as_str(), request.user.as_str(), &seq, changes];
        let args = args.map(str::as_bytes);
        loop {
            let charge = calls.charge(request.charge);
            let reply = self.run_charged(&READ_ROOM_MESSAGE, charge, &keys, &args);
            if let Some(read) = calls.read(self, reply.await?).await? {
                return Ok(read.map(StoredMessage));
            }
        }
    }

    /// Replaces a message of a room by the result of `rewrite`, as [`Store::replace_message`] does for a pair.
    pub async fn replace_room_message(
        &self,
        request: RoomRequest<'_>,
        seq: Seq,
        precondition: &Precondition,
        rewrite: impl Fn(Message) -> Result<Option<Message>, Error>,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let name = request.room.as_str();
        let mut calls = ArchiveCalls::of(name);
        let mut first = self
            .read_room_stored(request, seq, true, &mut calls)
            .await?;
        let free = RoomRequest {
            charge: None,
            ..request
        };
        let read = async || {
            let mut calls = ArchiveCalls::of(name);
            self.read_room_stored(free, seq, true, &mut calls).await
        };
        let turn = calls.take_turn(self).await?;
        if turn.as_ref().is_some_and(|(_, has_waited)| *has_waited) {
            first.value = read().await?.value;
        }
        let position = seq.get().to_string();
        let swap = async |old: &str, new: &str| {
            let mut calls = ArchiveCalls::of(name).in_turn(turn.is_some());
            loop {
                let args = [position.as_str(), old, new, &calls.held];
                let garbage = self.keys.garbage(name);
                let reply = self.change_room(&REPLACE_ROOM_MESSAGE, free, [garbage], &args);
                if let Some(replaced) = calls.change(self, reply.await?).await? {
                    return Ok(replaced);
                }
            }
        };
        replacement::replace(first, precondition, rewrite, read, swap).await
    }

    /// Replaces a message of a room by a tombstone, for everybody.
    pub async fn delete_room_message(
        &self,
        request: RoomRequest<'_>,
        seq: Seq,
        precondition: &Precondition,
    ) -> Result<RateLimited<StoredMessage>, Error> {
        let seq = seq.get().to_string();
        let now = rfc3339(Utc::now());
        let name = request.room.as_str();
        let mut calls = ArchiveCalls::of(name);
        loop {
            let charge = calls.charge(request.charge);
            let request = RoomRequest { charge, ..request };
            let args = [&seq, &now, precondition.script_arg(), &calls.held];
            let keys = [self.keys.schedule(name), self.keys.garbage(name)];
            let reply = self.change_room(&DELETE_ROOM_MESSAGE, request, keys, &args);
            if let Some(deleted) = calls.change(self, reply.await?).await? {
                return Ok(deleted.map(StoredMessage));
            }
        }
    }

    /// Replaces an expired message of a room by a tombstone. Returns whether there was such a message.
    pub async fn expire_room_message(
        &self,
        from: &UserId,
        room: &RoomName,
        seq: &str,
        id: &str,
    ) -> Result<bool, Error> {
        let charge = None;
        let request = RoomRequest {
            user: from,
            room,
            charge,
        };
        let name = room.as_str();
        let mut calls = ArchiveCalls::of(name);
        loop {
            let keys = [self.keys.schedule(name), self.keys.garbage(name)];
            let args = [seq, id, &calls.held];
            let reply = self.change_room(&EXPIRE_ROOM_MESSAGE, request, keys, &args);
            if let Some(expired) = calls.change::<u8>(self, reply.await?).await? {
                return Ok(expired.value == 1);
            }
        }
    }
}
