//! The inbox of a user, and conversations as one of their participants sees them.

use futures_util::future::try_join_all;

use super::{Operations, Target, target};
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{
    Conversation, ConversationState, Inbox, InboxQuery, PageQuery, Participants, UnreadOfUsers,
    UnreadTotals, UserId, UserUnread,
};
use crate::rate::RateLimited;

impl Operations {
    /// Returns a page of the inbox of `user`: pinned conversations, then the others, each latest
    /// message first.
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

    /// Counts what each of several users has not read. For backends. Charged as one request.
    pub async fn list_unread(
        &self,
        caller: &Caller,
        users: &[UserId],
    ) -> Result<RateLimited<UnreadOfUsers>, Error> {
        caller.require_backend()?;
        let charge = self.charge_request(caller);
        // The count of the first user carries the charge. All counts are one pipeline.
        let charges = std::iter::once(charge.as_ref()).chain(std::iter::repeat(None));
        let counts = users.iter().zip(charges);
        let counts = counts.map(|(user, charge)| self.store.count_unread(user, charge));
        let counts = try_join_all(counts).await?;
        let quota = counts.first().and_then(|first| first.quota);
        let users = users.iter().cloned().zip(counts);
        let users = users.map(|(user, count)| UserUnread {
            user,
            totals: count.value,
        });
        Ok(RateLimited {
            value: UnreadOfUsers {
                users: users.collect(),
            },
            quota,
        })
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
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.read_conversation(request, query).await,
            Target::Room(request) => self.store.read_room_conversation(request, query).await,
        }
    }

    /// Hides the messages that a conversation has now from `user`, and the conversation from the
    /// inbox of `user` until the next message. The peer keeps everything.
    pub async fn clear_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.clear_conversation(request).await,
            Target::Room(request) => self.store.clear_room_conversation(request).await,
        }
    }
}
