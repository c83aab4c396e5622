//! The inbox: the conversations of a user with their unread counts.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::conversation::{metadata_json, push_array, room_member, time_json};
use super::message::rfc3339_millis_of;
use super::{
    ConversationMetadata, Limit, Message, Peer, RoomSummary, Seq, StoredMessage, UnreadTotals,
    parse_decimal,
};

/// The query of `GET /conversations/{user}`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// The maximum number of conversations.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the previous page.
    #[param(
        value_type = Option<String>,
        nullable = false,
        pattern = "^[0-9]{1,16}-[A-Za-z0-9_-]{2,340}$"
    )]
    pub cursor: Option<InboxCursor>,
    /// Whether to list only conversations that count in `unread_conversations`.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    pub unread_only: bool,
    /// `true` lists only archived conversations, `false` only the others. Without it, both are listed.
    #[param(nullable = false)]
    pub archived: Option<bool>,
}

impl InboxQuery {
    /// The maximum number of conversations.
    pub fn limit(&self) -> u16 {
        self.limit.get()
    }
}

/// A position in an inbox: the version and the peer of the last conversation of a page. Opaque to clients,
/// which get the peer in base64, so that a cursor needs no escaping in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct InboxCursor {
    version: String,
    peer: String,
}

impl InboxCursor {
    /// The version and the peer.
    pub fn parts(&self) -> (&str, &str) {
        (&self.version, &self.peer)
    }

    /// The cursor of the page after a conversation, whose score is its place in the order.
    pub fn at(score: &str, peer: &Peer) -> Self {
        Self {
            version: score.to_owned(),
            peer: peer.as_str().to_owned(),
        }
    }

    /// Reads the cursor of a script: version and peer, joined by a comma.
    pub fn from_script(text: &str) -> Option<Self> {
        let (version, peer) = text.split_once(',')?;
        Some(Self {
            version: version.to_owned(),
            peer: peer.to_owned(),
        })
    }
}

impl fmt::Display for InboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, URL_SAFE_NO_PAD.encode(&self.peer))
    }
}

impl TryFrom<String> for InboxCursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once('-').and_then(|(version, peer)| {
            let peer = String::from_utf8(URL_SAFE_NO_PAD.decode(peer).ok()?).ok()?;
            parse_decimal(version, 16)?;
            let version = version.to_owned();
            let peer = Peer::try_from(peer).ok()?.into();
            Some(Self { version, peer })
        });
        parts.ok_or("must be the `next_cursor` of another page")
    }
}

/// A conversation as one of its users sees it, without its history.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of the response"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationState {
    /// The other user, or a room.
    pub peer: Peer,
    /// The title and the size of the room; absent if the peer is a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub room: Option<RoomSummary>,
    /// The newest message; null if there is none or the user cleared it.
    #[schema(value_type = Option<Message>, required = true)]
    pub last_message: Option<StoredMessage>,
    /// Number of unread messages of the peer.
    pub unread_count: u64,
    /// The seq of the newest message; 0 if there never was one.
    pub last_seq: Seq,
    /// The last message that the user has read; 0 if none.
    pub read_seq: Seq,
    /// The last message that the peer has read; 0 if none.
    pub peer_read_seq: Seq,
    /// The last message that a device of the peer has received; 0 if none.
    pub peer_delivered_seq: Seq,
    /// Whether the user muted the conversation.
    pub muted: bool,
    /// When the mute ends (RFC 3339); null if it does not end, or if there is none.
    #[serde(default, serialize_with = "rfc3339_millis_of")]
    #[schema(required = true)]
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether the user blocked the peer.
    pub blocked: bool,
    /// Whether the user archived the conversation.
    #[serde(default)]
    #[schema(required = true)]
    pub archived: bool,
    /// Whether the user pinned the conversation.
    #[serde(default)]
    #[schema(required = true)]
    pub pinned: bool,
    /// The user's metadata; null if there is none.
    #[serde(default)]
    #[schema(required = true)]
    pub metadata: Option<ConversationMetadata>,
    /// When the newest message was sent (RFC 3339); null if there is none.
    #[schema(required = true, format = DateTime)]
    pub updated_at: Option<String>,
}

impl ConversationState {
    /// The state as JSON, written without serde like [`super::Conversation::to_json`].
    pub fn to_json(&self) -> String {
        let last = self
            .last_message
            .as_ref()
            .map_or("null", |message| &message.0);
        let updated = self
            .updated_at
            .as_ref()
            .map_or("null".to_owned(), |time| format!("\"{time}\""));
        let Self {
            peer,
            unread_count,
            muted,
            blocked,
            archived,
            pinned,
            ..
        } = self;
        let metadata = metadata_json(self.metadata.as_ref());
        let muted_until = time_json(self.muted_until);
        let room = room_member(self.room.as_ref());
        let [last_seq, read, peer_read, delivered] = [
            self.last_seq,
            self.read_seq,
            self.peer_read_seq,
            self.peer_delivered_seq,
        ]
        .map(Seq::get);
        format!(
            "{{\"peer\":\"{peer}\",{room}\"last_message\":{last},\"unread_count\":{unread_count},\
             \"last_seq\":{last_seq},\"read_seq\":{read},\"peer_read_seq\":{peer_read},\
             \"peer_delivered_seq\":{delivered},\"muted\":{muted},\"muted_until\":{muted_until},\"blocked\":{blocked},\
             \"archived\":{archived},\"pinned\":{pinned},\"metadata\":{metadata},\
             \"updated_at\":{updated}}}"
        )
    }
}

/// A page of an inbox.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct Inbox {
    /// The page: pinned conversations, then the others, each latest message first.
    pub conversations: Vec<ConversationState>,
    /// The unread totals of the whole inbox.
    #[serde(flatten)]
    #[schema(inline)]
    pub totals: UnreadTotals,
    /// The `cursor` of the next page; null on the last page.
    #[schema(required = true, value_type = Option<String>)]
    pub next_cursor: Option<InboxCursor>,
}

impl Inbox {
    pub fn to_json(&self) -> String {
        let states: Vec<_> = self
            .conversations
            .iter()
            .map(ConversationState::to_json)
            .collect();
        let mut json = String::from(r#"{"conversations":"#);
        push_array(&mut json, states.iter().map(String::as_str));
        let totals = self.totals.members();
        let cursor = self.next_cursor.as_ref();
        let cursor = cursor.map_or("null".to_owned(), |cursor| format!("\"{cursor}\""));
        // Writing to a String cannot fail.
        let _ = write!(json, r#",{totals},"next_cursor":{cursor}}}"#);
        json
    }
}
