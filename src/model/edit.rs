//! The bodies of requests that change a message or move a receipt.

use serde::Deserialize;
use utoipa::ToSchema;

use super::attachment::named_attachments;
use super::json::{MergePatch, ObjectChange, changed_or_default};
use super::{Attachment, AttachmentInput, Body, Metadata, Seq, limits};
use crate::error::{Code, Error};

/// The author's change of a message. An absent member stays unchanged; `null` removes it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The new text. `null` has the same effect as the empty text.
    #[serde(default, deserialize_with = "changed_or_default")]
    pub(super) body: Option<Body>,
    /// All attachments that the message has after the edit, at most 10.
    #[serde(default, deserialize_with = "named_attachments")]
    #[schema(value_type = Option<Vec<AttachmentInput>>, max_items = 10)]
    pub(super) attachments: Option<Vec<Attachment>>,
    /// The new metadata; in a JSON Merge Patch, the changes to it.
    #[serde(default)]
    #[schema(value_type = Option<Metadata>)]
    metadata: ObjectChange,
    /// Whether `metadata` is merged into the existing metadata.
    #[serde(skip)]
    merges: bool,
}

impl MergePatch for Edit {
    fn merging(self) -> Self {
        Self {
            merges: true,
            ..self
        }
    }
}

impl Edit {
    /// Refuses an edit with too many attachments or too much metadata.
    pub fn checked(self) -> Result<Self, Error> {
        if let Some(attachments) = &self.attachments
            && attachments.len() > limits::ATTACHMENTS
        {
            let why = "must have at most 10 attachments";
            return Err(Error::field(Code::InvalidRequest, "/attachments", why));
        }
        if !self.merges {
            // The result of a patch depends on the metadata of the message.
            self.metadata_after(None)?;
        }
        Ok(self)
    }

    /// The metadata of a message after this edit.
    pub(super) fn metadata_after(&self, old: Option<&Metadata>) -> Result<Option<Metadata>, Error> {
        if self.metadata == ObjectChange::Keep {
            return Ok(old.cloned());
        }
        let old = old.map(|metadata| &metadata.0);
        let object = self.metadata.apply(old, self.merges);
        let refused = |why| Error::field(Code::InvalidRequest, "/metadata", why);
        let metadata = object.map(Metadata::try_from);
        metadata.transpose().map_err(refused)
    }
}

/// A read receipt: the last message read, and whether the peer sees it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// The last message read.
    pub seq: Seq,
    /// Whether to hide the receipt from the peer.
    #[serde(default)]
    #[schema(value_type = bool, default = false)]
    private: Option<bool>,
}

impl ReadRequest {
    /// Whether the peer does not see the receipt.
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
