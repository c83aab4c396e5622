//! Messages from elsewhere.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::attachment::attachments;
use super::{Attachment, Body, ClientId, Metadata, NewMessage, PendingMessage, Seq, UserId};
use crate::error::Error;

/// One line of an import: a message as `POST /messages` takes it, and when it was sent.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    /// When it was sent (RFC 3339).
    sent_at: DateTime<Utc>,
    /// Its id; made from its content if left out, the same each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// The sender.
    from: UserId,
    /// The recipient; not the sender.
    to: UserId,
    /// What its client called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    /// The text. May show nothing only when there are attachments.
    body: Body,
    /// The `seq` that the message it answers gets here: its place in the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    /// What goes with the text, at most 10.
    #[serde(
        default,
        deserialize_with = "attachments",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schema(value_type = Option<Vec<Attachment>>, max_items = 10)]
    attachments: Vec<Attachment>,
    /// Anything the application wants to keep with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

impl ImportLine {
    /// The message to store.
    pub fn into_draft(self) -> Result<PendingMessage, Error> {
        let Self {
            sent_at,
            id,
            from,
            to,
            client_id,
            body,
            reply_to,
            attachments,
            metadata,
        } = self;
        let id = id.unwrap_or_else(|| derived(&from, &to, sent_at, &body));
        let message = NewMessage {
            from: None,
            to,
            client_id,
            body,
            reply_to,
            attachments,
            metadata,
        };
        PendingMessage::new(from, message).map(|draft| draft.sent_before(id, sent_at))
    }
}

/// An id made from what a message is (UUID of version 5, RFC 9562): the same line gives the same
/// id, so that an import that is sent again is recognized.
fn derived(from: &UserId, to: &UserId, sent_at: DateTime<Utc>, body: &Body) -> Uuid {
    let text = format!(
        "{from}|{to}|{}|{}",
        sent_at.timestamp_micros(),
        body.as_str()
    );
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Import {
    /// Messages that were stored.
    pub imported: u64,
    /// Messages that an earlier attempt had stored already.
    pub skipped: u64,
}
