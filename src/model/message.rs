//! Stored messages, and the changes that can be made to them.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Attachment, Body, ClientId, Edit, Emoji, Metadata, Peer, Seq, UserId};
use crate::error::{Code, Error};

/// Formats a time as RFC 3339 in UTC with milliseconds, `2026-01-31T12:00:00.000Z`. All times are stored in
/// this form, so scripts can compare them as texts.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn rfc3339_millis<S: Serializer>(
    time: &DateTime<Utc>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*time))
}

/// A stored message: the JSON text of a [`Message`]. Responses contain it byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage(pub String);

impl StoredMessage {
    /// Parses the message. Only the service writes stored messages, so a failure is an internal error.
    pub fn parse(&self) -> Result<Message, Error> {
        serde_json::from_str(&self.0).map_err(|e| {
            Error::new(
                Code::Internal,
                format!("A stored message is malformed: {e}."),
            )
        })
    }

    /// The position in the conversation. Relies on the fixed beginning of the JSON, as scripts do.
    pub fn seq(&self) -> Option<u64> {
        Self::seq_of(&self.0)
    }

    /// The same of a text that is a stored message.
    pub fn seq_of(message: &str) -> Option<u64> {
        let rest = message.strip_prefix(r#"{"seq":"#)?;
        rest.split_once(',')?.0.parse().ok()
    }

    /// When the message was sent. The fixed beginning of the JSON has the first `sent_at`.
    pub fn sent_at(&self) -> Option<&str> {
        Self::sent_at_of(&self.0)
    }

    /// The same of a text that is a stored message.
    pub fn sent_at_of(message: &str) -> Option<&str> {
        let (_, rest) = message.split_once(r#""sent_at":""#)?;
        rest.split('"').next()
    }

    /// The sender of a text that is a stored message. The sender follows the seq.
    pub fn sender_of(message: &str) -> Option<&str> {
        let (_, rest) = message.split_once(r#","from":""#)?;
        rest.split('"').next()
    }

    /// The user or the room that a text that is a stored message was sent to.
    pub fn recipient_of(message: &str) -> Option<&str> {
        let (_, rest) = message.split_once(r#","to":""#)?;
        rest.split('"').next()
    }

    /// Whether a user wrote it.
    pub fn is_from(&self, user: &UserId) -> bool {
        Self::sender_of(&self.0) == Some(user.as_str())
    }
}

// For clients and tests. The service copies the text into its responses instead of serializing it.
impl Serialize for StoredMessage {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let message: Value = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        message.serialize(to)
    }
}

impl<'de> Deserialize<'de> for StoredMessage {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(|message| Self(message.to_string()))
    }
}

/// 128 bits of SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let half = digest
        .iter()
        .take(16)
        .fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    format!("{half:032x}")
}

/// A message.
// The order of the members is part of the storage format: see `lua/lib/message.lua`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The position in the conversation: 1, 2, 3, ... Messages are ordered by `seq`, never by time.
    pub seq: Seq,
    /// The sender.
    pub from: UserId,
    /// When the author deleted the message, or when it expired; absent if it is not deleted.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_millis_of"
    )]
    #[schema(nullable = false)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// When the message expires: it then becomes a tombstone, as if its author deleted it. Absent if it does
    /// not expire.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_millis_of"
    )]
    #[schema(nullable = false)]
    pub expires_at: Option<DateTime<Utc>>,
    /// The recipient: a user or a room.
    pub to: Peer,
    /// The globally unique id: a UUID of version 7 (RFC 9562).
    pub id: Uuid,
    /// When the service accepted the message (RFC 3339, UTC, milliseconds).
    #[serde(serialize_with = "rfc3339_millis")]
    pub sent_at: DateTime<Utc>,
    /// The id that the sending client gave to the message; absent if it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_id: Option<ClientId>,
    /// The text; empty if the message was deleted.
    pub body: Body,
    /// The `seq` of the message that this one replies to; absent if it is not a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<Seq>,
    /// The users whose attention the sender wants; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub mentions: Vec<UserId>,
    /// The attachments; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub attachments: Vec<Attachment>,
    /// The metadata of the application; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
    /// When the author last changed the text or the attachments; absent if never.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_millis_of"
    )]
    #[schema(nullable = false)]
    pub edited_at: Option<DateTime<Utc>>,
    /// The users who reacted, by emoji; absent if there are no reactions.
    #[serde(
        default,
        deserialize_with = "stored_reactions",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schema(required = false, value_type = HashMap<String, Vec<UserId>>, example = json!({"👍": ["bob"]}))]
    pub reactions: BTreeMap<Emoji, Vec<UserId>>,
}

fn stored_reactions<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<Emoji, Vec<UserId>>, D::Error> {
    let reactions = BTreeMap::<String, Vec<UserId>>::deserialize(from)?.into_iter();
    Ok(reactions
        .map(|(emoji, users)| (Emoji::stored(emoji), users))
        .collect())
}

// Serde passes a reference to the field.
#[allow(clippy::ref_option)]
pub(super) fn rfc3339_millis_of<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339_millis(time, to),
        None => to.serialize_none(),
    }
}

/// Maximum number of different emoji on a message.
pub(super) const MAX_REACTIONS: usize = 20;

impl Message {
    /// Applies an edit; `None` if it changes nothing. Refuses users other than the author, and edits
    /// that leave the message empty. A change of only the metadata does not mark the message as edited,
    /// because users do not see metadata.
    pub fn edited(mut self, by: &UserId, edit: &Edit) -> Result<Option<Self>, Error> {
        if &self.from != by {
            return Err(Error::new(
                Code::Forbidden,
                "Only the author can edit a message.",
            ));
        }
        self.refuse_if_deleted()?;
        let body = edit.body.as_ref().unwrap_or(&self.body);
        let attachments = edit.attachments.as_ref().unwrap_or(&self.attachments);
        let metadata = edit.metadata_after(self.metadata.as_ref())?;
        if body.is_blank() && attachments.is_empty() {
            let why = "must have visible characters unless there are attachments";
            return Err(Error::field(Code::InvalidRequest, "/body", why));
        }
        if body != &self.body || attachments != &self.attachments {
            (self.body, self.attachments) = (body.clone(), attachments.clone());
            self.edited_at = Some(Utc::now());
        } else if metadata == self.metadata {
            return Ok(None);
        }
        self.metadata = metadata;
        Ok(Some(self))
    }

    /// Adds a reaction of a user; `None` if the message has it already.
    pub fn reacted(mut self, by: &UserId, emoji: &Emoji) -> Result<Option<Self>, Error> {
        self.refuse_if_deleted()?;
        if !self.reactions.contains_key(emoji) && self.reactions.len() == MAX_REACTIONS {
            return Err(Code::TooManyReactions.into());
        }
        let users = self.reactions.entry(emoji.clone()).or_default();
        if users.contains(by) {
            return Ok(None);
        }
        users.push(by.clone());
        Ok(Some(self))
    }

    /// Removes a reaction of a user; `None` if the message does not have it.
    pub fn unreacted(mut self, by: &UserId, emoji: &Emoji) -> Option<Self> {
        let users = self.reactions.get_mut(emoji)?;
        let at = users.iter().position(|user| user == by)?;
        users.remove(at);
        if users.is_empty() {
            self.reactions.remove(emoji);
        }
        Some(self)
    }

    /// Removes all reactions of a user; `None` if there are none.
    pub fn without_reactions_of(mut self, user: &UserId) -> Option<Self> {
        let count = |message: &Self| message.reactions.values().map(Vec::len).sum::<usize>();
        let before = count(&self);
        for users in self.reactions.values_mut() {
            users.retain(|other| other != user);
        }
        self.reactions.retain(|_, users| !users.is_empty());
        (count(&self) < before).then_some(self)
    }

    /// The message in its stored form.
    pub fn to_stored(&self) -> Result<StoredMessage, Error> {
        serde_json::to_string(self).map(StoredMessage).map_err(|e| {
            Error::new(
                Code::Internal,
                format!("A message cannot be serialized: {e}."),
            )
        })
    }

    fn refuse_if_deleted(&self) -> Result<(), Error> {
        if self.deleted_at.is_some() {
            Err(Code::MessageDeleted.into())
        } else {
            Ok(())
        }
    }
}
