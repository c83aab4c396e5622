//! A message as it is stored and answered, and what may become of it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Attachment, Body, ClientId, Edit, Emoji, Metadata, Seq, UserId};
use crate::error::{Code, Error};

/// A time as it is stored and answered: RFC 3339 in UTC with milliseconds, `2026-01-31T12:00:00.000Z`.
/// All are of one form, so scripts compare them as texts.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn rfc3339_millis<S: Serializer>(
    time: &DateTime<Utc>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*time))
}

/// A message as it is stored: the JSON text of a [`Message`], answered byte for byte as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage(pub String);

impl StoredMessage {
    /// Its members. What is stored was written by this service, so anything else is a fault.
    pub fn parse(&self) -> Result<Message, Error> {
        serde_json::from_str(&self.0).map_err(|e| {
            Error::new(
                Code::Internal,
                format!("a message is stored out of form: {e}"),
            )
        })
    }

    /// Its place in the conversation. Like scripts, this relies on the fixed beginning of the JSON.
    pub fn seq(&self) -> Option<u64> {
        let rest = self.0.strip_prefix(r#"{"seq":"#)?;
        rest.split_once(',')?.0.parse().ok()
    }

    /// When it was sent. One of the fixed members in front, so the first of that name is it.
    pub fn sent_at(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once(r#""sent_at":""#)?;
        rest.split('"').next()
    }
}

// For those who read answers. Parsing what is stored only to write it again is what the service
// avoids: it pastes the text in.
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

/// A message as it is answered.
// The order of its members is part of the storage format, see `lua/lib/message.lua`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Its place in the conversation: 1, 2, 3, ... Order is seq, never time.
    pub seq: Seq,
    /// The sender.
    pub from: UserId,
    /// When its author deleted it; absent if it stands.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_millis_of"
    )]
    #[schema(nullable = false)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// The recipient.
    pub to: UserId,
    /// Its id, unique everywhere: a UUID of version 7 (RFC 9562).
    pub id: Uuid,
    /// When the service accepted it (RFC 3339, UTC, milliseconds).
    #[serde(serialize_with = "rfc3339_millis")]
    pub sent_at: DateTime<Utc>,
    /// What the client that sent it called it; absent if it gave no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_id: Option<ClientId>,
    /// The text; empty once it was deleted.
    pub body: Body,
    /// The `seq` of the message it answers; absent if it answers none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<Seq>,
    /// What goes with the text; absent if nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub attachments: Vec<Attachment>,
    /// What the application keeps with it; absent if nothing was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
    /// When its author last changed the text or the attachments; absent if never.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339_millis_of"
    )]
    #[schema(nullable = false)]
    pub edited_at: Option<DateTime<Utc>>,
    /// Who reacted with which emoji; absent if nobody did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, value_type = Object, example = json!({"👍": ["bob"]}))]
    pub reactions: BTreeMap<Emoji, Vec<UserId>>,
}

// Serde calls it with a reference to the field.
#[allow(clippy::ref_option)]
fn rfc3339_millis_of<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339_millis(time, to),
        None => to.serialize_none(),
    }
}

/// Different emoji that one message takes.
pub(super) const MAX_REACTIONS: usize = 20;

impl Message {
    /// The message with what its author changed, `None` if nothing did; refuses anybody else, and
    /// what would leave it empty. Metadata belongs to the application, so a change of it alone does
    /// not mark the message as edited.
    pub fn edited(mut self, by: &UserId, edit: &Edit) -> Result<Option<Self>, Error> {
        if &self.from != by {
            return Err(Error::new(
                Code::Forbidden,
                "only its author edits a message",
            ));
        }
        self.still_stands()?;
        let body = edit.body.as_ref().unwrap_or(&self.body);
        let attachments = edit.attachments.as_ref().unwrap_or(&self.attachments);
        let metadata = edit.metadata_after(self.metadata.as_ref())?;
        if body.is_blank() && attachments.is_empty() {
            let why = "a body may show nothing only when there are attachments";
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

    /// The message with a user's reaction; `None` if it has it already.
    pub fn reacted(mut self, by: &UserId, emoji: &Emoji) -> Result<Option<Self>, Error> {
        self.still_stands()?;
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

    /// The message without a user's reaction; `None` if it has none.
    pub fn unreacted(mut self, by: &UserId, emoji: &Emoji) -> Option<Self> {
        let users = self.reactions.get_mut(emoji)?;
        let at = users.iter().position(|user| user == by)?;
        users.remove(at);
        if users.is_empty() {
            self.reactions.remove(emoji);
        }
        Some(self)
    }

    /// The message without any reaction of a user; `None` if it has none.
    pub fn without_reactions_of(mut self, user: &UserId) -> Option<Self> {
        let count = |message: &Self| message.reactions.values().map(Vec::len).sum::<usize>();
        let before = count(&self);
        for users in self.reactions.values_mut() {
            users.retain(|other| other != user);
        }
        self.reactions.retain(|_, users| !users.is_empty());
        (count(&self) < before).then_some(self)
    }

    /// The JSON of it, as it is stored.
    pub fn to_stored(&self) -> Result<StoredMessage, Error> {
        serde_json::to_string(self).map(StoredMessage).map_err(|e| {
            Error::new(
                Code::Internal,
                format!("a message would not serialize: {e}"),
            )
        })
    }

    fn still_stands(&self) -> Result<(), Error> {
        if self.deleted_at.is_some() {
            Err(Code::MessageDeleted.into())
        } else {
            Ok(())
        }
    }
}
