//! Lines of an export.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::message::rfc3339_millis_of;
use super::{ConversationMetadata, InboxEntry, Message, Peer};

/// A line of an export. It has one of the members.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportLine {
    /// A conversation. Its messages follow, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    conversation: Option<ExportedConversation>,
    /// A message of the conversation.
    // Written without this type, because the stored JSON is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<Message>,
}

/// A conversation in an export: the peer and the settings of the user.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of the line"
)]
#[derive(Debug, Serialize, ToSchema)]
struct ExportedConversation {
    /// The peer.
    peer: Peer,
    /// Whether the user blocked the peer.
    blocked: bool,
    /// Whether the user muted the conversation.
    muted: bool,
    /// When the mute ends (RFC 3339); null if it does not end, or if there is none.
    #[serde(serialize_with = "rfc3339_millis_of")]
    #[schema(required = true)]
    muted_until: Option<DateTime<Utc>>,
    /// Whether the user archived the conversation.
    archived: bool,
    /// Whether the user pinned the conversation.
    pinned: bool,
    /// The user's metadata; null if there is none.
    #[schema(required = true)]
    metadata: Option<ConversationMetadata>,
}

impl ExportLine {
    /// The line of a conversation.
    pub fn conversation(
        peer: Peer,
        entry: &InboxEntry,
        metadata: Option<ConversationMetadata>,
    ) -> Self {
        let flags = entry.flags;
        let conversation = ExportedConversation {
            peer,
            blocked: flags.blocked(),
            muted: flags.muted(),
            muted_until: entry.muted_until,
            archived: flags.archived(),
            pinned: flags.pinned(),
            metadata,
        };
        Self {
            conversation: Some(conversation),
            message: None,
        }
    }
}
