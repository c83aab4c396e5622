//! Lines of an import.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::attachment::attachments;
use super::expiry::{expired, expires_at, tombstone};
use super::imported_message::{ImportedMessage, fingerprint};
use super::message::MAX_REACTIONS;
use super::time::{PastTime, Time};
use super::{
    Attachment, AttachmentInput, Body, ClientId, Emoji, ExpiresIn, MessageInput, Metadata, Pair,
    PendingMessage, Seq, UserId, parse_json, rfc3339,
};
use crate::error::{Code, Error};

/// A line of an import: a message as in `POST /messages`, with the time at which it was sent. A line
/// `{"message":{...}}` of an export is accepted too; `{"conversation":{...}}` is skipped.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    /// When the message was sent (RFC 3339, a year of four digits); not in the future.
    #[schema(value_type = DateTime<Utc>)]
    sent_at: PastTime,
    /// The unique id. If absent, it is derived from the other members and from the number of equal lines
    /// before this one in the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<Uuid>,
    /// The position in the conversation, in lines of an export. Must be the next one unless the
    /// conversation is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false, minimum = 1, maximum = 1000000000000u64)]
    seq: Option<Seq>,
    /// The sender.
    from: UserId,
    /// The recipient, who must differ from the sender.
    to: UserId,
    /// The id that the client gave to the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<ClientId>,
    /// The text. Must have visible characters unless there are attachments or the message was deleted.
    body: Body,
    /// The `seq` in this conversation of the message that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reply_to: Option<Seq>,
    /// The attachments, at most 10.
    #[serde(
        default,
        deserialize_with = "attachments",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(value_type = Option<Vec<AttachmentInput>>, nullable = false, max_items = 10)]
    attachments: Vec<Attachment>,
    /// Any data that the application keeps with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    metadata: Option<Metadata>,
    /// When the author last edited the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false)]
    edited_at: Option<PastTime>,
    /// When the message expires: at most 90 days after `sent_at`. If this time is past, the message is stored as a
    /// tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false)]
    expires_at: Option<Time>,
    /// When the author deleted the message, which then has no content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false)]
    deleted_at: Option<PastTime>,
    /// The users who reacted, by emoji.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = HashMap<String, Vec<UserId>>)]
    reactions: BTreeMap<Emoji, Vec<UserId>>,
}

impl ImportLine {
    /// Reads a line; `None` if it is blank, or a line of an export without a message. A byte order mark
    /// is ignored.
    pub fn parse(line: &[u8]) -> Result<Option<Self>, Error> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let line = line.trim_ascii();
        match first_member(line) {
            _ if line.is_empty() => Ok(None),
            Some(b"conversation") => Ok(None),
            Some(b"message") => {
                let exported = parse_json::<ExportedLine>(line)?;
                Ok(Some(exported.message))
            }
            _ => parse_json(line).map(Some),
        }
    }

    /// The conversation it belongs to.
    pub fn pair(&self) -> Pair {
        Pair::of(&self.from, &self.to)
    }

    /// Whether the line contains an id.
    pub fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// The id of the line, or one derived from its content (UUID of version 5, RFC 9562): a line gets the
    /// same id in every attempt, and equal lines after it get different ids.
    pub fn identify(&mut self, seen: &mut SeenLines) -> Result<Uuid, Error> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let mut content = json!([
            self.from,
            self.to,
            self.sent_at.0,
            self.client_id,
            self.body,
            self.reply_to,
            self.attachments,
            self.metadata
        ]);
        if let (Some(time), Some(content)) = (self.expires_at, content.as_array_mut()) {
            content.push(json!(time));
        }
        // Objects are unordered.
        content.sort_all_objects();
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, content.to_string().as_bytes());
        let count = seen.0.entry(id.as_u64_pair().0).or_default();
        *count += 1;
        let id = match *count {
            1 => id,
            count => Uuid::new_v5(&id, count.to_string().as_bytes()),
        };
        self.id = Some(id);
        Ok(id)
    }

    pub(super) fn into_message(self, line: usize, id: Uuid) -> Result<ImportedMessage, Error> {
        self.check_place()?;
        self.check_reactions()?;
        self.check_expiry()?;
        let (pair, from, to) = (self.pair(), self.from.clone(), self.to.clone());
        let (sent_at, place, reply_to) = (self.sent_at.0, self.seq, self.reply_to);
        let json = match self.deleted_at {
            Some(deleted_at) => self.tombstone(deleted_at, id)?,
            None => self.into_json(id)?,
        };
        // Recognized by its tombstone, because a later export no longer has its content.
        let fingerprint = match expires_at(&json) {
            Some(time) => fingerprint(&tombstone(&json, time).unwrap_or_default()),
            None => fingerprint(&json),
        };
        let json = expired(&json, Utc::now()).unwrap_or(json);
        Ok(ImportedMessage {
            line,
            expires_at: expires_at(&json).and_then(|time| time.parse().ok()),
            fingerprint,
            pair,
            from,
            to,
            sent_at,
            place,
            reply_to,
            json,
            id,
        })
    }

    fn check_place(&self) -> Result<(), Error> {
        // More messages than a conversation ever has, and far below the maximum, so it can continue.
        const MAX: u64 = 1_000_000_000_000;
        let valid = self.seq.is_none_or(|seq| (1..=MAX).contains(&seq.get()));
        let why = "must be 1 to 1000000000000";
        if valid {
            Ok(())
        } else {
            Err(Error::field(Code::InvalidRequest, "/seq", why))
        }
    }

    fn check_expiry(&self) -> Result<(), Error> {
        let longest = TimeDelta::seconds(ExpiresIn::MAX_S.into());
        let lasts = self.expires_at.map(|time| time.0 - self.sent_at.0);
        if lasts.is_none_or(|lasts| lasts > TimeDelta::zero() && lasts <= longest) {
            return Ok(());
        }
        let why = "must be after `sent_at`, by at most 90 days";
        Err(Error::field(Code::InvalidRequest, "/expires_at", why))
    }

    fn check_reactions(&self) -> Result<(), Error> {
        let refused = |why| Err(Error::field(Code::InvalidRequest, "/reactions", why));
        if self.reactions.len() > MAX_REACTIONS {
            return refused("must have at most 20 different emoji");
        }
        for users in self.reactions.values() {
            let distinct: HashSet<_> = users.iter().collect();
            let of_both = users
                .iter()
                .all(|user| *user == self.from || *user == self.to);
            if !of_both || distinct.len() < users.len() || users.is_empty() {
                return refused(
                    "must list the sender or the recipient, each at most once per emoji",
                );
            }
        }
        Ok(())
    }

    /// The JSON of a deleted message from its second member on, in the form of `lua/lib/tombstone.lua`.
    fn tombstone(&self, deleted_at: PastTime, id: Uuid) -> Result<String, Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        let empty = self.body.as_str().is_empty() && self.attachments.is_empty();
        if !empty || self.metadata.is_some() || !self.reactions.is_empty() {
            return refused(
                "/deleted_at",
                "is only allowed without body, attachments, metadata and reactions",
            );
        }
        let Self { from, to, .. } = self;
        if from == to {
            return refused("/to", "`to` must differ from `from`.");
        }
        let (sent_at, deleted_at) = (rfc3339(self.sent_at.0), rfc3339(deleted_at.0));
        let expires_at = self.expires_at.map(|time| rfc3339(time.0));
        let expires_at = expires_at.map(|time| format!(r#""expires_at":"{time}","#));
        let expires_at = expires_at.unwrap_or_default();
        let client_id = self.client_id.as_ref();
        let client_id = client_id.map(|id| format!(r#""client_id":{},"#, json!(id)));
        let client_id = client_id.unwrap_or_default();
        // User ids need no escaping.
        Ok(format!(
            r#""from":"{from}","deleted_at":"{deleted_at}",{expires_at}"to":"{to}","id":"{id}","sent_at":"{sent_at}",{client_id}"body":""}}"#
        ))
    }

    /// The JSON of the message from its second member on.
    fn into_json(self, id: Uuid) -> Result<String, Error> {
        let message = MessageInput {
            from: None,
            to: self.to.into(),
            client_id: self.client_id,
            body: self.body,
            reply_to: self.reply_to,
            attachments: self.attachments,
            metadata: self.metadata,
            mentions: Vec::new(),
            expires_in: None,
        };
        let message = PendingMessage::new(self.from, message)?;
        let expires_at = self.expires_at.map(|time| time.0);
        let message = message.sent_before(id, self.sent_at.0, expires_at);
        let mut json = message.json_after_seq()?;
        // Members that a new message lacks come last. Writing to a String cannot fail.
        if let Some(edited_at) = self.edited_at {
            json.pop();
            let _ = write!(json, r#","edited_at":"{}"}}"#, rfc3339(edited_at.0));
        }
        if !self.reactions.is_empty() {
            json.pop();
            let _ = write!(json, r#","reactions":{}}}"#, json!(self.reactions));
        }
        Ok(json)
    }
}

/// The number of times each line without an id occurred, by half of its derived id.
#[derive(Default)]
pub struct SeenLines(HashMap<u64, u32>);

/// A line of an export that has a message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedLine {
    message: ImportLine,
}

/// The name of the first member of a JSON object, found without parsing it.
fn first_member(json: &[u8]) -> Option<&[u8]> {
    let member = json
        .strip_prefix(b"{")?
        .trim_ascii_start()
        .strip_prefix(b"\"")?;
    member.split(|byte| *byte == b'"').next()
}
