//! Conversations, stored in Redis.

use super::archived_pages::{ArchivedPage, ReadPage};
use super::change::ConversationRequest;
use super::script::{
    CLEAR_CONVERSATION, MARK_DELIVERED, MARK_READ, MARK_UNREAD, READ_CONVERSATION,
};
use super::{PAGE_BYTES, RateLimited, Store, flag, reply};
use crate::error::{Code, Error};
use crate::model::{Conversation, ConversationState, InboxEntry, PageQuery, Seq};

/// The reply of `lua/conversations/read_conversation.lua`.
type ConversationReply = (
    String,
    Vec<String>,
    Vec<String>,
    Option<u64>,
    Option<u64>,
    String,
    Option<ArchivedPage>,
);

impl Store {
    /// Reads a page of a conversation and the user's unread messages, and marks the conversation as
    /// read if the query says so.
    pub async fn read_conversation(
        &self,
        request: ConversationRequest<'_>,
        query: &PageQuery,
    ) -> Result<RateLimited<Conversation>, Error> {
        let (args, marks_read) = page_args(query)?;
        let read = async |charge, args: [&str; 6]| {
            let request = ConversationRequest { charge, ..request };
            let reply = self.change::<ConversationReply>(&READ_CONVERSATION, request, &args);
            reply.await.map(|reply| reply.map(split_reply))
        };
        let pair = request.pair();
        let (read, is_archived) = self
            .read_page(pair.as_str(), (args, marks_read), request.charge, read)
            .await?;
        let read = read.try_map(|(page, (entry, unread, metadata))| {
            let entry = InboxEntry::parse(&entry)?;
            let peer = request.peer.clone().into();
            reply::conversation(request.user, peer, &entry, page, unread, &metadata)
        })?;
        if is_archived && marks_read {
            // Only now, because a page that cannot be shown is not read.
            let free = ConversationRequest {
                charge: None,
                ..request
            };
            Box::pin(self.mark_read(free, read.value.last_seq, false)).await?;
        }
        Ok(read)
    }

    /// Marks a conversation as read up to a message; `private` does not tell the peer.
    pub async fn mark_read(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        private: bool,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let seq = seq.get().to_string();
        self.change_state(&MARK_READ, request, &[&seq, flag(private)])
            .await
    }

    /// Marks a conversation as delivered to the user's devices up to a message.
    pub async fn mark_delivered(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let seq = seq.get().to_string();
        self.change_state(&MARK_DELIVERED, request, &[&seq]).await
    }

    /// Marks a conversation as unread from a message on.
    pub async fn mark_unread(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let seq = seq.get().to_string();
        let marked = self.change_state(&MARK_UNREAD, request, &[&seq]).await;
        marked.map_err(|error| match error.code {
            Code::TooFarBack => Error::field(error.code, "/seq", error.detail),
            _ => error,
        })
    }

    /// Clears a conversation for the user, not for the peer.
    pub async fn clear_conversation(
        &self,
        request: ConversationRequest<'_>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.change_state(&CLEAR_CONVERSATION, request, &[]).await
    }
}

/// The page of a reply, and the rest: entry, unread messages, metadata.
fn split_reply(reply: ConversationReply) -> (ReadPage, (String, Vec<String>, String)) {
    let (entry, history, unread, next_before, next_after, metadata, archived) = reply;
    let page = ReadPage {
        history,
        next_before,
        next_after,
        archived,
    };
    (page, (entry, unread, metadata))
}

/// The arguments of a script that reads a page, and whether that marks the conversation as read.
pub(super) fn page_args(query: &PageQuery) -> Result<([String; 6], bool), Error> {
    let range = query.range()?;
    let marks_read = query.marks_read(range);
    let (name, place) = range.script_args();
    let args = [
        query.limit().to_string(),
        name.to_owned(),
        place,
        if marks_read { "0" } else { "1" }.to_owned(),
        query.unread_limit(range).to_string(),
        PAGE_BYTES.to_owned(),
    ];
    Ok((args, marks_read))
}
