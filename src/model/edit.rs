//! What may be done to a message that was sent, and to how much of a conversation.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::attachment::named_attachments;
use super::{Attachment, Body, Metadata, Seq, limits};
use crate::error::{Code, Error};

/// What its author changes of a message: what is left out stays, what is `null` is removed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct Edit {
    /// The text. `null` leaves none, as the empty text does.
    #[serde(default, deserialize_with = "body_or_null")]
    pub(super) body: Option<Body>,
    /// What goes with the text, all of it, at most 10.
    #[serde(default, deserialize_with = "named_attachments")]
    #[schema(max_items = 10)]
    pub(super) attachments: Option<Vec<Attachment>>,
    /// What the application keeps with it: all of it, or, in a JSON Merge Patch, what changes of it.
    #[serde(default)]
    #[schema(value_type = Option<Metadata>)]
    metadata: MetadataChange,
    /// Whether the members of `metadata` are merged into those that are there.
    #[serde(skip)]
    merges: bool,
}

/// What becomes of the metadata of a message.
#[derive(Clone, Debug, Default)]
enum MetadataChange {
    #[default]
    Keep,
    Remove,
    Set(Value),
}

impl<'de> Deserialize<'de> for MetadataChange {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let object = Option::<Map<String, Value>>::deserialize(value)?;
        Ok(object.map_or(Self::Remove, |object| Self::Set(object.into())))
    }
}

fn body_or_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Body>, D::Error> {
    let body = Option::<Body>::deserialize(value)?;
    Ok(Some(body.unwrap_or_default()))
}

impl Edit {
    /// The same edit as a JSON Merge Patch (RFC 7396), which merges objects at every depth.
    #[must_use]
    pub fn merging(self) -> Self {
        Self {
            merges: true,
            ..self
        }
    }

    /// Refuses an edit that names nothing or too much.
    pub fn checked(self) -> Result<Self, Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        let keeps_metadata = matches!(self.metadata, MetadataChange::Keep);
        if self.body.is_none() && self.attachments.is_none() && keeps_metadata {
            return refused(
                "/body",
                "an edit changes the body, the attachments or the metadata",
            );
        }
        if let Some(attachments) = &self.attachments
            && attachments.len() > limits::ATTACHMENTS
        {
            return refused("/attachments", "a message has at most 10 attachments");
        }
        if !self.merges {
            // What a patch makes of the metadata is known only with the message.
            self.metadata_after(None)?;
        }
        Ok(self)
    }

    /// What becomes of the metadata of a message.
    pub(super) fn metadata_after(&self, old: Option<&Metadata>) -> Result<Option<Metadata>, Error> {
        let metadata = match &self.metadata {
            MetadataChange::Keep => return Ok(old.cloned()),
            MetadataChange::Remove => return Ok(None),
            MetadataChange::Set(patch) if self.merges => Metadata::merged(old, patch),
            MetadataChange::Set(object) => Metadata::try_from(object.clone()),
        };
        let refused = |why| Error::field(Code::InvalidRequest, "/metadata", why);
        metadata.map(Some).map_err(refused)
    }
}

/// Up to which message a user has read, and whether the peer is told.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// The last message read.
    pub seq: Seq,
    /// `true` counts and clears without telling the peer.
    #[serde(default)]
    #[schema(value_type = bool, default = false)]
    private: Option<bool>,
}

impl ReadRequest {
    /// Whether the peer is not told.
    pub fn is_private(self) -> bool {
        self.private.unwrap_or_default()
    }
}

/// How far a receipt goes: up to and with the message of this seq.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptRequest {
    /// The message.
    pub seq: Seq,
}
