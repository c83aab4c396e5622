//! The inbox: the conversations of a user with their unread counts.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::conversation::{metadata_json, push_array, time_json};
use super::message::rfc3339_millis_of;
use super::{ConversationMetadata, Flags, Limit, Message, Seq, StoredMessage, UserId};
use crate::error::{Code, Error};

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

    /// The cursor of the page after a conversation at this place of the order.
    pub fn at(score: &str, peer: &UserId) -> Self {
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
        let digits = |version: &&str| {
            (1..=16).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit())
        };
        let parts = text.split_once('-').and_then(|(version, peer)| {
            let peer = String::from_utf8(URL_SAFE_NO_PAD.decode(peer).ok()?).ok()?;
            let version = Some(version).filter(digits)?.to_owned();
            UserId::is_valid(&peer).then_some(Self { version, peer })
        });
        parts.ok_or("must be the `next_cursor` of another page")
    }
}

/// The unread totals of a user over all conversations, except those with blocked peers. For badges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreadTotals {
    /// Number of unread messages.
    pub total_unread_count: u64,
    /// Number of conversations with unread messages.
    pub unread_conversations: u64,
    /// Number of unread messages in muted conversations, included in `total_unread_count`.
    pub muted_unread_count: u64,
}

impl UnreadTotals {
    /// The totals as a JSON object.
    pub fn to_json(self) -> String {
        format!("{{{}}}", self.members())
    }

    /// The members of the JSON object.
    fn members(self) -> String {
        let Self {
            total_unread_count,
            unread_conversations,
            muted_unread_count,
        } = self;
        format!(
            "\"total_unread_count\":{total_unread_count},\"unread_conversations\":{unread_conversations},\"muted_unread_count\":{muted_unread_count}"
        )
    }
}

/// The unread totals of one of several users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserUnread {
    /// The user.
    pub user: UserId,
    /// The unread totals of the user.
    #[serde(flatten)]
    #[schema(inline)]
    pub totals: UnreadTotals,
}

/// The unread totals of several users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnreadOfUsers {
    /// Each requested user, in the order of the request.
    pub users: Vec<UserUnread>,
}

/// The outcome of marking all conversations of a user as read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MarkedRead {
    /// Number of conversations that this call marked as read.
    pub conversations: u64,
    /// Whether all conversations are marked. If not, call again.
    pub done: bool,
}

/// A conversation as one of its users sees it, without its history.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of the response"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationState {
    /// The other user.
    pub peer: UserId,
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
        let [last_seq, read, peer_read, delivered] = [
            self.last_seq,
            self.read_seq,
            self.peer_read_seq,
            self.peer_delivered_seq,
        ]
        .map(Seq::get);
        format!(
            "{{\"peer\":\"{peer}\",\"last_message\":{last},\"unread_count\":{unread_count},\
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

/// A user's view of a conversation, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Number of unread messages of the peer.
    pub unread_count: u64,
    /// The seq of the newest message.
    pub last_seq: Seq,
    /// The last message that the user has read; 0 if none.
    pub read_seq: Seq,
    /// The last message that the peer has read; 0 if none.
    pub peer_read_seq: Seq,
    /// The last message that a device of the peer has received; 0 if none.
    pub peer_delivered_seq: Seq,
    /// The flags of the user.
    pub flags: Flags,
    /// When the mute ends, if it does.
    pub muted_until: Option<DateTime<Utc>>,
}

impl InboxEntry {
    /// Reads a row of an inbox, `version|ahead|age|entry`.
    pub fn parse_row(row: &str) -> Result<Self, Error> {
        let entry = row.splitn(4, '|').nth(3);
        Self::parse(entry.ok_or_else(malformed_row)?)
    }

    /// Reads `unread|flags|last_seq|read_seq|peer_read_seq|peer_delivered_seq`, and `|muted_until` if the
    /// mute ends, see `lua/lib/row.lua`. A mute whose time is over is none, even if it is still stored.
    pub fn parse(entry: &str) -> Result<Self, Error> {
        let (unread, rest) = entry.split_once('|').ok_or_else(malformed_row)?;
        let (flags, rest) = rest.split_once('|').ok_or_else(malformed_row)?;
        let flags = Flags::parse(flags)?;
        let mut parts = rest.split('|');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let mut entry = || {
            Some(Self {
                unread_count: unread.parse().ok()?,
                flags,
                last_seq: number()?.try_into().ok()?,
                read_seq: number()?.try_into().ok()?,
                peer_read_seq: number()?.try_into().ok()?,
                peer_delivered_seq: number()?.try_into().ok()?,
                muted_until: match number() {
                    Some(time) => DateTime::from_timestamp_millis(time.try_into().ok()?),
                    None => None,
                },
            })
        };
        let entry = entry().ok_or_else(malformed_row)?;
        Ok(match entry.muted_until {
            Some(time) if time <= Utc::now() => Self {
                flags: entry.flags.unmuted(),
                muted_until: None,
                ..entry
            },
            _ => entry,
        })
    }

    /// The state of the conversation with `peer`. The newest message and the metadata are JSON, or empty
    /// if the user sees none.
    pub fn into_state(
        self,
        peer: UserId,
        last_message: String,
        metadata: &str,
    ) -> Result<ConversationState, Error> {
        let last_message = (!last_message.is_empty()).then_some(last_message);
        let last_message = last_message.map(|last| StoredMessage(last).at(Utc::now()));
        let sent_at = last_message.as_ref().and_then(StoredMessage::sent_at);
        Ok(ConversationState {
            peer,
            updated_at: sent_at.map(str::to_owned),
            last_message,
            unread_count: self.unread_count,
            last_seq: self.last_seq,
            read_seq: self.read_seq,
            peer_read_seq: self.peer_read_seq,
            peer_delivered_seq: self.peer_delivered_seq,
            muted: self.flags.muted(),
            muted_until: self.muted_until,
            blocked: self.flags.blocked(),
            archived: self.flags.archived(),
            pinned: self.flags.pinned(),
            metadata: ConversationMetadata::parse(metadata)?,
        })
    }
}

fn malformed_row() -> Error {
    Error::new(Code::Internal, "an inbox contains a malformed row")
}
