//! Receipts: how far a conversation was read and received.

use super::{Operations, Target, target};
use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::model::{ConversationState, MarkedRead, Participants, Seq, UserId};
use crate::rate::RateLimited;

impl Operations {
    /// Marks a conversation as read by `user` up to a message; `private` does not tell the peer, and is refused
    /// for a room, whose members are not told anyway.
    pub async fn mark_read(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
        private: bool,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.mark_read(request, seq, private).await,
            Target::Room(_) if private => {
                let why =
                    "must be false or absent for a room, whose members are not told who reads";
                Err(Error::field(Code::InvalidRequest, "/private", why))
            }
            Target::Room(request) => self.store.mark_room_read(request, seq).await,
        }
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
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.mark_delivered(request, seq).await,
            // Members of a room are not told what devices have received. Nothing is read up to the seq 0.
            Target::Room(request) => self.store.mark_room_read(request, Seq::default()).await,
        }
    }

    /// Marks a conversation as unread by `user` from a message on.
    pub async fn mark_unread(
        &self,
        caller: &Caller,
        users: &Participants,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.mark_unread(request, seq).await,
            Target::Room(request) => self.store.mark_room_unread(request, seq).await,
        }
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
