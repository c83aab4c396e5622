//! The bodies of requests that change a message or move a receipt.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::attachment::named_attachments;
use super::{Attachment, Body, Metadata, Seq, limits};
use crate::error::{Code, Error};

/// The author's change of a message. An absent member stays as it is; `null` removes it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct Edit {
    /// The new text. `null` has the same effect as the empty text.
    #[serde(default, deserialize_with = "body_or_null")]
    pub(super) body: Option<Body>,
    /// All attachments that the message has after the edit, at most 10.
    #[serde(default, deserialize_with = "named_attachments")]
    #[schema(max_items = 10)]
    pub(super) attachments: Option<Vec<Attachment>>,
    /// The new metadata; in a JSON Merge Patch, the changes to it.
    #[serde(default)]
    #[schema(value_type = Option<Metadata>)]
    metadata: MetadataChange,
    /// Whether `metadata` is merged into the existing metadata.
    #[serde(skip)]
    merges: bool,
}

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

    /// Refuses an edit without changes, or with too many attachments or too much metadata.
    pub fn checked(self) -> Result<Self, Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        let keeps_metadata = matches!(self.metadata, MetadataChange::Keep);
        if self.body.is_none() && self.attachments.is_none() && keeps_metadata {
            return refused(
                "/body",
                "at least one of `body`, `attachments` and `metadata` is required",
            );
        }
        if let Some(attachments) = &self.attachments
            && attachments.len() > limits::ATTACHMENTS
        {
            return refused("/attachments", "must have at most 10 attachments");
        }
        if !self.merges {
            // The result of a patch depends on the metadata of the message.
            self.metadata_after(None)?;
        }
        Ok(self)
    }

    /// The metadata of a message after this edit.
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

/// A read receipt: the last message read, and whether the peer is told.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// The last message read.
    pub seq: Seq,
    /// Whether to mark the messages as read without telling the peer.
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

/// The message that a receipt is about.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptRequest {
    /// The `seq` of the message.
    pub seq: Seq,
}
