//! The settings of a user in a conversation. The peer does not see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::content::within;
use super::json::{MergePatch, ObjectChange, OpaqueObject, changed_or_default};
use super::limits;
use super::time::FutureTime;
use crate::error::{Code, Error};

/// A flag that has its own operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// The peer's messages are refused.
    Blocked,
    /// The user does not want to be alerted. Messages are stored and counted as before.
    Muted,
}

impl Flag {
    /// The name of the flag in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Flag::Blocked => "blocked",
            Flag::Muted => "muted",
        }
    }
}

/// How long a conversation is muted: the body of `PUT .../mute`.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// When the mute ends (RFC 3339): in the future, at most 10 years ahead. Without it the mute does
    /// not end.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false)]
    until: Option<FutureTime>,
}

impl Mute {
    /// When the mute ends; `None` if it does not end.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.until.map(|time| time.0)
    }
}

/// All flags that a user has set on a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags([bool; 5]);

impl Flags {
    /// Reads stored flags, see `lua/lib/state.lua`.
    pub fn parse(digits: &str) -> Result<Self, Error> {
        let digits = <[u8; 5]>::try_from(digits.as_bytes()).map_err(|_| {
            Error::new(Code::Internal, "The flags of a conversation are malformed.")
        })?;
        Ok(Self(digits.map(|digit| digit == b'1')))
    }

    /// The same flags without the one for a mute.
    pub(super) fn unmuted(mut self) -> Self {
        self.0[0] = false;
        self
    }

    /// Whether the user does not want to be alerted.
    pub const fn muted(self) -> bool {
        self.0[0]
    }

    /// Whether the peer's messages are refused.
    pub const fn blocked(self) -> bool {
        self.0[1]
    }

    /// Whether the conversation is archived until its next message.
    pub const fn archived(self) -> bool {
        self.0[2]
    }

    /// Whether the inbox lists the conversation before those that are not pinned.
    pub const fn pinned(self) -> bool {
        self.0[3]
    }

    /// Whether the user has metadata in the conversation.
    pub const fn has_metadata(self) -> bool {
        self.0[4]
    }
}

/// A JSON object that the application keeps with a conversation of a user: at most 1 KiB as compact JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(value_type = HashMap<String, Value>, example = json!({"folder": "work"}))]
pub struct ConversationMetadata(OpaqueObject);

impl ConversationMetadata {
    /// Reads stored metadata; an empty text means none.
    pub fn parse(json: &str) -> Result<Option<Self>, Error> {
        if json.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(json).map(Some).map_err(|e| {
            let why = format!("The metadata of a conversation is malformed: {e}.");
            Error::new(Code::Internal, why)
        })
    }

    pub fn to_json(&self) -> String {
        // An object with string keys is always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl TryFrom<Map<String, Value>> for ConversationMetadata {
    type Error = &'static str;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        within(limits::CONVERSATION_METADATA, object)
            .map(Self)
            .ok_or("must have at most 1024 bytes as compact JSON")
    }
}

/// A change of the settings of a user in a conversation. An absent member stays unchanged.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationPatch {
    /// Whether the conversation is archived until its next message. `null` is `false`.
    #[serde(default, deserialize_with = "changed_or_default")]
    pub archived: Option<bool>,
    /// Whether the inbox lists the conversation before those that are not pinned. `null` is `false`.
    #[serde(default, deserialize_with = "changed_or_default")]
    pub pinned: Option<bool>,
    /// The new metadata; in a JSON Merge Patch, the changes to it. `null` removes the metadata.
    #[serde(default)]
    #[schema(value_type = Option<ConversationMetadata>)]
    metadata: ObjectChange,
    /// Whether `metadata` is merged into the existing metadata.
    #[serde(skip)]
    merges: bool,
}

impl MergePatch for ConversationPatch {
    fn merging(self) -> Self {
        Self {
            merges: true,
            ..self
        }
    }
}

impl ConversationPatch {
    /// Whether the metadata after the patch depends on the metadata before it.
    pub fn merges_metadata(&self) -> bool {
        self.merges && matches!(self.metadata, ObjectChange::Set(_))
    }

    /// The metadata after the patch as JSON: `null` if it is removed, empty if it is unchanged. `stored` is the
    /// metadata before the patch, which only a patch that merges uses.
    pub fn metadata_after(&self, stored: &str) -> Result<String, Error> {
        if self.metadata == ObjectChange::Keep {
            return Ok(String::new());
        }
        let old = if self.merges_metadata() {
            ConversationMetadata::parse(stored)?
        } else {
            None
        };
        let object = self
            .metadata
            .apply(old.as_ref().map(|old| &old.0), self.merges);
        let refused = |why| Error::field(Code::InvalidRequest, "/metadata", why);
        let metadata = object.map(ConversationMetadata::try_from).transpose();
        let metadata = metadata.map_err(refused)?;
        Ok(metadata.map_or_else(|| "null".to_owned(), |metadata| metadata.to_json()))
    }
}
