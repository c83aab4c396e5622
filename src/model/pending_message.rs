//! Messages before they are stored: as received from a client, and as accepted.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Timestamp, Uuid};

use super::attachment::attachments;
use super::json::{canonical, default_if_null};
use super::message::{digest, rfc3339_millis, rfc3339_millis_of};
use super::{
    Attachment, AttachmentInput, Body, ClientId, ExpiresIn, Metadata, Peer, Seq, UserId, limits,
};
use crate::error::{Code, Error};

/// A message to send: the body of `POST /messages`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageInput {
    /// The sender. Optional for users, who send as themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<UserId>,
    /// The recipient: another user, or `room:` and the id of a room.
    pub to: Peer,
    /// An id that the client gives to the message: 1 to 64 printable characters. Responses and events
    /// contain it, so that a client recognizes its own messages. Without an `Idempotency-Key` it is
    /// also the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_id: Option<ClientId>,
    /// The text. Must have visible characters unless there are attachments.
    pub body: Body,
    /// The `seq` of an earlier message of the same conversation that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<Seq>,
    /// The users whose attention the sender wants, at most 50. Only in messages to rooms.
    #[serde(
        default,
        deserialize_with = "default_if_null",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(value_type = Option<Vec<UserId>>, nullable = false, max_items = 50)]
    pub mentions: Vec<UserId>,
    /// The attachments, at most 10. The service stores their descriptions, not the files.
    #[serde(
        default,
        deserialize_with = "attachments",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(value_type = Option<Vec<AttachmentInput>>, nullable = false, max_items = 10)]
    pub attachments: Vec<Attachment>,
    /// Any data that the application keeps with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
    /// Seconds after which the message becomes a tombstone for both users, as if its author deleted it: 1 to
    /// 7,776,000 (90 days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_in: Option<ExpiresIn>,
}

/// An accepted message without a position: everything of a [`Message`] except its `seq`, which the store
/// assigns.
///
/// The order of the members is that of [`Message`] and part of the storage format: scripts read the fixed
/// beginning without parsing the rest (`lua/lib/message.lua`).
#[derive(Debug, Serialize)]
pub struct PendingMessage {
    from: UserId,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_millis_of"
    )]
    expires_at: Option<DateTime<Utc>>,
    to: Peer,
    id: Uuid,
    #[serde(serialize_with = "rfc3339_millis")]
    sent_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    body: Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<UserId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(skip)]
    expires_in: Option<ExpiresIn>,
}

impl MessageInput {
    /// Refuses what depends on more than one field, and what is too long.
    fn check(&self, from: &UserId) -> Result<(), Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        if self.to == *from {
            return refused("/to", "`to` must differ from `from`.");
        }
        if self.body.is_blank() && self.attachments.is_empty() {
            return refused(
                "/body",
                "must have visible characters unless there are attachments",
            );
        }
        if self.attachments.len() > limits::ATTACHMENTS {
            return refused("/attachments", "must have at most 10 attachments");
        }
        if self.mentions.len() > limits::MENTIONS {
            return refused("/mentions", "must have at most 50 users");
        }
        if self.to.room().is_none() && !self.mentions.is_empty() {
            return refused("/mentions", "only messages to rooms can mention users");
        }
        Ok(())
    }
}

impl PendingMessage {
    /// Accepts a message of `from`: assigns its id and time, and validates what depends on more than one
    /// field.
    pub fn new(from: UserId, message: MessageInput) -> Result<Self, Error> {
        message.check(&from)?;
        let MessageInput {
            to,
            client_id,
            body,
            reply_to,
            mentions,
            attachments,
            metadata,
            expires_in,
            ..
        } = message;
        let sent_at = Utc::now();
        let lasts = expires_in.map(|lasts| TimeDelta::seconds(lasts.seconds().into()));
        Ok(Self {
            id: fresh_id(sent_at),
            from,
            to,
            client_id,
            body,
            sent_at,
            reply_to,
            mentions,
            attachments,
            metadata,
            expires_at: lasts.map(|lasts| sent_at + lasts),
            expires_in,
        })
    }

    /// The same message with the id and the time it has in another service.
    pub(super) fn sent_before(
        self,
        id: Uuid,
        sent_at: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            expires_at,
            id,
            sent_at,
            ..self
        }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn sent_at(&self) -> DateTime<Utc> {
        self.sent_at
    }

    /// When the message expires, if it does.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }

    pub fn from(&self) -> &UserId {
        &self.from
    }

    pub fn to(&self) -> &Peer {
        &self.to
    }

    /// The sender and the recipient.
    pub fn into_participants(self) -> (UserId, Peer) {
        (self.from, self.to)
    }

    /// The message that this one replies to.
    pub fn reply_to(&self) -> Option<Seq> {
        self.reply_to
    }

    /// Distinguishes this message from others with the same idempotency key: a digest of everything that
    /// the client chose, independent of the notation in JSON.
    pub fn fingerprint(&self) -> Result<String, Error> {
        let chosen = (
            &self.client_id,
            &self.body,
            self.reply_to,
            &self.attachments,
            &self.metadata,
            self.expires_in,
        );
        let json = if self.mentions.is_empty() {
            serde_json::to_value(chosen)
        } else {
            serde_json::to_value((chosen, &self.mentions))
        };
        let json = json.map_err(|e| {
            Error::new(
                Code::Internal,
                format!("A message cannot be serialized: {e}."),
            )
        })?;
        Ok(digest(canonical(json).to_string().as_bytes()))
    }

    /// The JSON of the message from its second member on: `"from":...}`. The script that assigns the
    /// position prepends `{"seq":7,`.
    pub fn json_after_seq(&self) -> Result<String, Error> {
        let mut json = serde_json::to_string(self).map_err(|e| {
            Error::new(
                Code::Internal,
                format!("A message cannot be serialized: {e}."),
            )
        })?;
        json.remove(0);
        Ok(json)
    }
}

/// A UUID of version 7 with 74 random bits. `Uuid::now_v7` also counts within a millisecond, which takes
/// a lock of the whole process; messages are ordered by `seq`, so that is not needed.
pub fn fresh_id(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix_time(
        seconds,
        now.timestamp_subsec_nanos(),
        0,
        0,
    ))
}
