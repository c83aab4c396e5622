//! Conversations, stored in Redis.

use super::change::ConversationRequest;
use super::script::{
    CLEAR_CONVERSATION, MARK_DELIVERED, MARK_READ, MARK_UNREAD, READ_CONVERSATION,
};
use super::{PAGE_BYTES, RateLimited, Store, reply};
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
        let args = args.each_ref().map(String::as_str);
        let (user, peer) = (request.user, request.peer);
        let reply = self
            .change::<ConversationReply>(&READ_CONVERSATION, request, &args)
            .await;
        // A peek writes nothing, so its outcome is never unknown.
        let reply = if marks_read {
            reply?
        } else {
            reply.map_err(Error::as_read_error)?
        };
        reply.try_map(
            |(entry, history, unread, next_before, next_after, metadata)| {
                let page = (history, unread, next_before, next_after);
                let entry = InboxEntry::parse(&entry)?;
                reply::conversation(user, peer.clone().into(), &entry, page, &metadata)
            },
        )
    }

    /// Marks a conversation as read up to a message; `private` does not tell the peer.
    pub async fn mark_read(
        &self,
        request: ConversationRequest<'_>,
        seq: Seq,
        private: bool,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let seq = seq.get().to_string();
        let private = if private { "1" } else { "0" };
        self.change_state(&MARK_READ, request, &[&seq, private])
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
