//! Receipts: how far a conversation was read and received.

use super::{Operations, request};
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{ConversationState, MarkedRead, Participants, Seq, UserId};
use crate::rate::RateLimited;

impl Operations {
    /// Marks a conversation as read by `user` up to a message; `private` does not tell the peer.
    pub async fn mark_read(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
        private: bool,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store.mark_read(request, seq, private).await
    }

    /// Records that a device of `user` has received a conversation up to a message. If delivered receipts
    /// are disabled, nothing changes and the response has the same form.
    pub async fn mark_delivered(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let seq = if self.settings.delivered_receipts {
            seq
        } else {
            Seq::default()
        };
        let request = request(users, charge.as_ref());
        self.store.mark_delivered(request, seq).await
    }

    /// Marks a conversation as unread by `user` from a message on.
    pub async fn mark_unread(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        let request = request(users, charge.as_ref());
        self.store.mark_unread(request, seq).await
    }

    /// Marks all conversations of `user` as read. Stops after 2 seconds with `done: false`; calling
    /// again continues.
    pub async fn mark_all_read(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<RateLimited<MarkedRead>, Error> {
        let charge = self.authorize_request(caller, user)?;
        self.store.mark_all_read(user, charge.as_ref()).await
    }
}
