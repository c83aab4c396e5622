//! What may be done to a message that was sent, and to how much of a conversation.

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::content::optional_objects;
use super::{Attachment, Body, Metadata, Seq};
use crate::error::{Code, Error};

/// What its author changes of a message: what is left out stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct Edit {
    /// The text.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub body: Option<Body>,
    /// What goes with the text, all of it, at most 10.
    #[serde(default, deserialize_with = "optional_objects")]
    #[schema(nullable = false, max_items = 10)]
    pub attachments: Option<Vec<Attachment>>,
    /// What the application keeps with it, all of it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
}

/// A member that is there has a value: null would leave open whether it stays or goes.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Edit {
    /// Refuses an edit that changes nothing or too much.
    pub fn checked(self) -> Result<Self, Error> {
        let refused = |pointer, why| Err(Error::field(Code::InvalidRequest, pointer, why));
        if self.body.is_none() && self.attachments.is_none() && self.metadata.is_none() {
            return refused(
                "/body",
                "an edit changes the body, the attachments or the metadata",
            );
        }
        if self
            .attachments
            .as_ref()
            .is_some_and(|attachments| attachments.len() > 10)
        {
            return refused("/attachments", "a message has at most 10 attachments");
        }
        Ok(self)
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
