//! The settings of a user in a conversation. The peer does not see them.

use chrono::{DateTime, Utc};

use super::{Operations, Target, target};
use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::model::{
    BlockPage, BlocksQuery, ConversationPatch, ConversationState, Flag, Mute, Participants, UserId,
};
use crate::rate::RateLimited;

impl Operations {
    /// Changes whether a conversation is archived or pinned for `user`, and the metadata of `user`.
    pub async fn update_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
        patch: &ConversationPatch,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.update_conversation(request, patch).await,
            Target::Room(request) => self.store.update_room_conversation(request, patch).await,
        }
    }

    /// Refuses messages from the peer to `user`.
    pub async fn block_peer(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.set_flag(caller, users, Flag::Blocked, true, None)
            .await
    }

    /// Accepts messages from the peer to `user` again.
    pub async fn unblock_peer(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.set_flag(caller, users, Flag::Blocked, false, None)
            .await
    }

    /// Records that `user` does not want to be alerted of this conversation, until a time or without end.
    pub async fn mute_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
        mute: &Mute,
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.set_flag(caller, users, Flag::Muted, true, mute.until())
            .await
    }

    /// Records that `user` wants to be alerted of this conversation again.
    pub async fn unmute_conversation(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.set_flag(caller, users, Flag::Muted, false, None).await
    }

    async fn set_flag(
        &self,
        caller: &Caller,
        users: &Participants,
        flag: Flag,
        on: bool,
        until: Option<DateTime<Utc>>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.flag_conversation(request, flag, on, until).await,
            Target::Room(_) if matches!(flag, Flag::Blocked) => {
                let why = "a room cannot be blocked; mute it, or leave it";
                Err(Error::field(Code::InvalidRequest, "/path/peer", why))
            }
            Target::Room(request) => self.store.flag_room_conversation(request, on, until).await,
        }
    }

    /// Returns a page of the peers that `user` has blocked.
    pub async fn list_blocks(
        &self,
        caller: &Caller,
        user: &UserId,
        query: &BlocksQuery,
    ) -> Result<RateLimited<BlockPage>, Error> {
        let charge = self.authorize_request(caller, user)?;
        self.store
            .list_blocks(user, query.cursor.as_ref(), charge.as_ref())
            .await
    }
}
