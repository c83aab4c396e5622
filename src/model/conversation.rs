//! A page of a conversation, as one of its two users reads it.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

use super::{
    ConversationMetadata, Message, Peer, RoomSummary, Seq, StoredMessage, UserId, rfc3339,
};

/// A page of a conversation, and the messages that were unread before it was read.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member of the response"
)]
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct Conversation {
    /// The reader.
    pub user: UserId,
    /// The peer.
    pub peer: Peer,
    /// The title and the size of the room; absent if the peer is a user.
    #[schema(nullable = false)]
    pub room: Option<RoomSummary>,
    /// The messages of the page, newest first. Has less than `limit` messages if they would exceed 448 KiB;
    /// the cursors continue there.
    #[schema(value_type = Vec<Message>)]
    pub history: Vec<StoredMessage>,
    /// Number of messages of the peer that were unread. Always exact.
    pub unread_count: u64,
    /// The unread messages, newest first: at most `unread_limit`, at most 448 KiB, and only among the
    /// newest 4,000 messages (1.5 MiB). Read older ones with `before`.
    #[schema(value_type = Vec<Message>, max_items = 500)]
    pub unread: Vec<StoredMessage>,
    /// The seq of the newest message; 0 if there is none.
    pub last_seq: Seq,
    /// The last message that was read before this request; 0 if none.
    pub read_seq: Seq,
    /// The last message that the peer has read; 0 if none.
    pub peer_read_seq: Seq,
    /// The last message that a device of the peer has received; 0 if none.
    pub peer_delivered_seq: Seq,
    /// Whether the reader muted the conversation.
    pub muted: bool,
    /// When the mute ends (RFC 3339); null if it does not end, or if there is none.
    #[schema(required = true)]
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether the reader blocked the peer.
    pub blocked: bool,
    /// Whether the reader archived the conversation.
    pub archived: bool,
    /// Whether the reader pinned the conversation.
    pub pinned: bool,
    /// The reader's metadata; null if there is none.
    #[schema(required = true)]
    pub metadata: Option<ConversationMetadata>,
    /// The `before` of the next older page; null if there are no older messages. A page beyond the
    /// newest message has one too.
    #[schema(required = true)]
    pub next_before: Option<Seq>,
    /// The `after` of the next newer page, which can be 0; null if there are no newer messages. A
    /// page beyond the oldest message has one too.
    #[schema(required = true)]
    pub next_after: Option<Seq>,
}

impl Conversation {
    /// The conversation as JSON. Written without serde, because the messages are already JSON: copying
    /// them in avoids parsing every page.
    pub fn to_json(&self) -> String {
        let Self {
            user,
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
        let messages = self.history.iter().chain(&self.unread);
        let mut json = String::with_capacity(256 + messages.map(|m| m.0.len() + 1).sum::<usize>());
        // User ids need no escaping, and writing to a String cannot fail.
        let _ = write!(
            json,
            r#"{{"user":"{user}","peer":"{peer}",{room}"history":"#
        );
        push_array(&mut json, self.history.iter().map(text));
        let _ = write!(json, r#","unread_count":{unread_count},"unread":"#);
        push_array(&mut json, self.unread.iter().map(text));
        let seqs = [
            self.last_seq,
            self.read_seq,
            self.peer_read_seq,
            self.peer_delivered_seq,
        ];
        let [last, read, peer_read, delivered] = seqs.map(Seq::get);
        let _ = write!(
            json,
            r#","last_seq":{last},"read_seq":{read},"peer_read_seq":{peer_read},"peer_delivered_seq":{delivered},"muted":{muted},"muted_until":{muted_until},"blocked":{blocked},"archived":{archived},"pinned":{pinned},"metadata":{metadata},"next_before":"#
        );
        push_cursor(&mut json, self.next_before);
        json.push_str(r#","next_after":"#);
        push_cursor(&mut json, self.next_after);
        json.push('}');
        json
    }
}

fn text(message: &StoredMessage) -> &str {
    &message.0
}

/// The member `room` of a conversation as JSON, with a comma behind it; nothing if the peer is a user.
pub(super) fn room_member(room: Option<&RoomSummary>) -> String {
    room.map_or_else(String::new, |room| format!("\"room\":{},", room.to_json()))
}

/// Metadata as JSON, or null.
pub(super) fn metadata_json(metadata: Option<&ConversationMetadata>) -> String {
    metadata.map_or_else(|| "null".to_owned(), ConversationMetadata::to_json)
}

/// A time as JSON, or null.
pub(super) fn time_json(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(
        || "null".to_owned(),
        |time| format!("\"{}\"", rfc3339(time)),
    )
}

/// Writes JSON texts as an array.
pub(super) fn push_array<'a>(json: &mut String, items: impl Iterator<Item = &'a str>) {
    json.push('[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            json.push(',');
        }
        json.push_str(item);
    }
    json.push(']');
}

fn push_cursor(json: &mut String, cursor: Option<Seq>) {
    let _ = match cursor {
        Some(seq) => write!(json, "{}", seq.get()),
        None => write!(json, "null"),
    };
}
