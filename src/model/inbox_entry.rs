//! A row of an inbox, as the store keeps it.

use chrono::{DateTime, Utc};

use super::{ConversationMetadata, ConversationState, Flags, Peer, Seq, StoredMessage};
use crate::error::{Code, Error};

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
    /// When the mute ends; `None` if it does not end, or if there is none.
    pub muted_until: Option<DateTime<Utc>>,
}

/// A row of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// The version of the conversation that the row has, in microseconds since 1970.
    pub version: u64,
    pub entry: InboxEntry,
    /// Whether the user has written to the peer.
    pub has_written: bool,
    /// If the peer is a room, the version of its last event that was filed.
    pub filed: Option<u64>,
    /// Whether the peer is a room of which the user sees no message.
    pub shows_nothing: bool,
}

impl InboxRow {
    /// Reads `version|ahead|age|entry`, see `lua/lib/row.lua`.
    pub fn parse(row: &str) -> Result<Self, Error> {
        let mut parts = row.splitn(4, '|');
        let version = parts.next().and_then(|version| version.parse().ok());
        let mut parts = parts.skip(1);
        let (age, entry) = parts.next().zip(parts.next()).ok_or_else(malformed_row)?;
        let version: u64 = version.ok_or_else(malformed_row)?;
        let behind = age.split_once(['n', 'r', 'x']).map(|(_, behind)| behind);
        let filed = behind.and_then(|behind| version.checked_sub(behind.parse().ok()?));
        Ok(Self {
            version,
            entry: InboxEntry::parse(entry)?,
            has_written: age.ends_with('w'),
            filed,
            shows_nothing: age.contains('n'),
        })
    }
}

impl InboxEntry {
    /// Reads `unread|flags|last_seq|read_seq|peer_read_seq|peer_delivered_seq`, followed by `|muted_until` if
    /// the mute ends, see `lua/lib/row.lua`. Omits a mute whose time is over, even if it is still stored.
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
        peer: Peer,
        last_message: String,
        metadata: &str,
    ) -> Result<ConversationState, Error> {
        let last_message = (!last_message.is_empty()).then_some(last_message);
        let last_message = last_message.map(|last| StoredMessage(last).at(Utc::now()));
        let sent_at = last_message.as_ref().and_then(StoredMessage::sent_at);
        Ok(ConversationState {
            peer,
            room: None,
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
    Error::new(Code::Internal, "An inbox contains a malformed row.")
}
