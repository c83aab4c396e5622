//! A message on its way: as a client sends it, as it was accepted.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Timestamp, Uuid};

use super::attachment::attachments;
use super::json::canonical;
use super::message::{digest, rfc3339_millis};
use super::{Attachment, Body, ClientId, Metadata, Pair, Seq, UserId, limits};
use crate::error::{Code, Error};

/// What a client sends: the body of `POST /messages`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The sender. May be left out by a user, who sends as itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<UserId>,
    /// The recipient; not the sender.
    pub to: UserId,
    /// What the client calls the message: 1 to 64 printable characters. Kept and answered with it and
    /// in every event of it, so that the client recognizes its own. Without an `Idempotency-Key`
    /// it is the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The text. May show nothing (empty, white space, invisible characters) only when there are
    /// attachments.
    pub body: Body,
    /// The `seq` of an earlier message of the same conversation that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    /// What goes with the text, at most 10. The service keeps the description, not the file.
    #[serde(
        default,
        deserialize_with = "attachments",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(value_type = Option<Vec<Attachment>>, max_items = 10)]
    pub attachments: Vec<Attachment>,
    /// Anything the application wants to keep with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A message that was accepted and has no place in its conversation yet: everything of a
/// [`Message`] but its `seq`, which only the store can give.
///
/// The order of its members is that of a message, and part of the storage format: scripts read the
/// fixed ones in front, see `lua/lib/message.lua`, without parsing the rest.
#[derive(Debug, Serialize)]
pub struct PendingMessage {
    from: UserId,
    to: UserId,
    id: Uuid,
    #[serde(serialize_with = "rfc3339_millis")]
    sent_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    body: Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

impl PendingMessage {
    /// Accepts what a client sent on behalf of `from`: gives it its id and its time, and refuses
    /// what no single field can be blamed for alone.
    pub fn new(from: UserId, message: NewMessage) -> Result<Self, Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        if from == message.to {
            return refused("/to", "`to` must differ from `from`.");
        }
        if message.body.is_blank() && message.attachments.is_empty() {
            return refused(
                "/body",
                "a body may show nothing only when there are attachments",
            );
        }
        if message.attachments.len() > limits::ATTACHMENTS {
            return refused("/attachments", "a message has at most 10 attachments");
        }
        let NewMessage {
            to,
            client_id,
            body,
            reply_to,
            attachments,
            metadata,
            ..
        } = message;
        let sent_at = Utc::now();
        Ok(Self {
            id: fresh_id(sent_at),
            from,
            to,
            client_id,
            body,
            sent_at,
            reply_to,
            attachments,
            metadata,
        })
    }

    /// The same message, sent elsewhere and earlier.
    pub(super) fn sent_before(self, id: Uuid, sent_at: DateTime<Utc>) -> Self {
        Self {
            id,
            sent_at,
            ..self
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// When it was sent.
    pub fn sent_at(&self) -> DateTime<Utc> {
        self.sent_at
    }

    /// Who sends.
    pub fn from(&self) -> &UserId {
        &self.from
    }

    /// Who is to receive.
    pub fn to(&self) -> &UserId {
        &self.to
    }

    /// The sender and the recipient.
    pub fn into_users(self) -> (UserId, UserId) {
        (self.from, self.to)
    }

    /// The conversation it belongs to.
    pub fn pair(&self) -> Pair {
        Pair::of(&self.from, &self.to)
    }

    /// The message it answers.
    pub fn reply_to(&self) -> Option<Seq> {
        self.reply_to
    }

    /// What tells this message from another one sent with the same idempotency key: a digest of
    /// everything that the client chose, however it was spelt in JSON.
    pub fn fingerprint(&self) -> Result<String, Error> {
        let chosen = (
            &self.client_id,
            &self.body,
            self.reply_to,
            &self.attachments,
            &self.metadata,
        );
        let json = serde_json::to_value(chosen)
            .map_err(|e| Error::new(Code::Internal, format!("a draft would not serialize: {e}")))?;
        Ok(digest(canonical(json).to_string().as_bytes()))
    }

    /// The JSON of the message from its second member on: `"from":...}`. What is missing in front,
    /// `{"seq":7,`, is written by the script that knows it.
    pub fn json_after_seq(&self) -> Result<String, Error> {
        let mut json = serde_json::to_string(self)
            .map_err(|e| Error::new(Code::Internal, format!("a draft would not serialize: {e}")))?;
        json.remove(0);
        Ok(json)
    }
}

/// A UUID of version 7 whose other 74 bits are random. `Uuid::now_v7` would also count within a
/// millisecond, for which all threads take one lock; order is seq, so nobody needs that.
pub fn fresh_id(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix_time(
        seconds,
        now.timestamp_subsec_nanos(),
        0,
        0,
    ))
}
