//! The inbox of a user, and conversations as one of their participants sees them.

use super::{Operations, request};
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{
    Conversation, ConversationState, Flag, Inbox, InboxQuery, PageQuery, Participants,
    UnreadTotals, UserId,
};
use crate::rate::RateLimited;

impl Operations {
    /// Returns a page of the inbox of `user`, latest message first.
    pub async fn list_conversations(
        &self,
        caller: &Caller,
        user: &UserId,
        query: &InboxQuery,
    ) -> Result<RateLimited<Inbox>, Error> {
        let charge = self.authorize_request(caller, user)?;
        self.store
            .list_conversations(user, query, charge.as_ref())
            .await
    }

    /// Counts what `user` has not read, over all conversations.
    pub async fn count_unread(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<RateLimited<UnreadTotals>, Error> {
        let charge = self.authorize_request(caller, user)?;
        self.store.count_unread(user, charge.as_ref()).await
    }

    /// Returns a page of a conversation and the messages that `user` has not read. The newest page
    /// marks the conversation as read unless the query says otherwise.
    pub async fn read_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
        query: &PageQuery,
    ) -> Result<RateLimited<Conversation>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store.read_conversation(request, query).await
    }

    /// Hides the messages that a conversation has now from `user`, and the conversation from the
    /// inbox of `user` until the next message. The peer keeps everything.
    pub async fn clear_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store.clear_conversation(request).await
    }

    /// Refuses messages from the peer to `user`.
    pub async fn block_peer(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store
            .flag_conversation(request, Flag::Blocked, true)
            .await
    }

    /// Accepts messages from the peer to `user` again.
    pub async fn unblock_peer(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store
            .flag_conversation(request, Flag::Blocked, false)
            .await
    }

    /// Notes that `user` does not want to be alerted of this conversation.
    pub async fn mute_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store
            .flag_conversation(request, Flag::Muted, true)
            .await
    }

    /// Notes that `user` wants to be alerted of this conversation again.
    pub async fn unmute_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store
            .flag_conversation(request, Flag::Muted, false)
            .await
    }
}
