//! Conversion of replies into values of the model. Only the service writes to the store, so an invalid
//! value is an internal error.

use chrono::Utc;

use super::archived_pages::ReadPage;
use crate::error::{Code, Error};
use crate::model::{
    Conversation, ConversationMetadata, InboxEntry, Peer, Seq, StoredMessage, UserId,
};

/// A position in a conversation.
pub(super) fn seq(number: u64) -> Result<Seq, Error> {
    Seq::try_from(number)
        .map_err(|why| Error::new(Code::Internal, format!("A seq in a reply {why}.")))
}

/// A message of the store as clients see it: its tombstone if it has expired.
pub(super) fn message(stored: String) -> StoredMessage {
    StoredMessage(stored).at(Utc::now())
}

/// Messages of the store as clients see them, all at the same time.
pub(super) fn messages(stored: impl IntoIterator<Item = String>) -> Vec<StoredMessage> {
    let now = Utc::now();
    let stored = stored.into_iter().map(StoredMessage);
    stored.map(|message| message.at(now)).collect()
}

/// The position of the next page; 0 if there is none.
pub(super) fn cursor(number: u64) -> Result<Option<Seq>, Error> {
    if number == 0 {
        Ok(None)
    } else {
        seq(number).map(Some)
    }
}

/// A user in a reply.
pub(super) fn user(id: String) -> Result<UserId, Error> {
    UserId::try_from(id)
        .map_err(|why| Error::new(Code::Internal, format!("A user id in a reply {why}.")))
}

/// A user or a room in a reply.
pub(super) fn peer(name: String) -> Result<Peer, Error> {
    Peer::try_from(name)
        .map_err(|why| Error::new(Code::Internal, format!("A peer in a reply: {why}.")))
}

/// A page of a conversation.
pub(super) fn conversation(
    user: &UserId,
    peer: Peer,
    entry: &InboxEntry,
    page: ReadPage,
    unread: Vec<String>,
    metadata: &str,
) -> Result<Conversation, Error> {
    Ok(Conversation {
        user: user.clone(),
        peer,
        room: None,
        history: messages(page.history),
        unread_count: entry.unread_count,
        unread: messages(unread),
        last_seq: entry.last_seq,
        read_seq: entry.read_seq,
        peer_read_seq: entry.peer_read_seq,
        peer_delivered_seq: entry.peer_delivered_seq,
        muted: entry.flags.muted(),
        muted_until: entry.muted_until,
        blocked: entry.flags.blocked(),
        archived: entry.flags.archived(),
        pinned: entry.flags.pinned(),
        metadata: ConversationMetadata::parse(metadata)?,
        next_before: page.next_before.map(seq).transpose()?,
        next_after: page.next_after.map(seq).transpose()?,
    })
}
