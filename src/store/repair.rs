//! Repair of inboxes: of what the outbox shows to be missing, and of rows that differ from their conversations.

use super::change::{Committed, ConversationRequest};
use super::filing::MemberInbox;
use super::outbox::{Divergence, OutboxEntry, member_entry};
use super::script::{REPEAT_ROOM_UPDATE, REPEAT_UPDATES, Script, TOUCH_CONVERSATION, TOUCH_ROOM};
use super::{RoomAccess, Store};
use crate::error::Error;
use crate::model::{RoomName, UserId};

/// A version above every other one.
const NEWEST_VERSION: &str = "9007199254740991";

impl Store {
    /// Completes what an entry of an outbox stands for.
    pub async fn complete(&self, entry: OutboxEntry) -> Result<(), Error> {
        match entry {
            OutboxEntry::Pair(one, other) => self.repeat_updates(&one, &other).await.map(|_| ()),
            OutboxEntry::Room(room) => self.file_room(&room).await.map(|_| ()),
            OutboxEntry::Member(room, user) => self.repeat_room_update(&room, &user).await,
        }
    }

    /// Updates the row of a room in the inbox of a user again with the present state of the room.
    pub async fn repeat_room_update(&self, room: &RoomName, user: &UserId) -> Result<(), Error> {
        let [_, meta, members, ..] = self.keys.room(room);
        let args = [user.as_str().as_bytes()];
        let keys = [meta, members];
        let found: Option<(String, Vec<u8>, String)> =
            self.run(&REPEAT_ROOM_UPDATE, &keys, &args).await?;
        // Without a room there is nothing to update, and its entry goes.
        let mut version = NEWEST_VERSION.to_owned();
        if let Some((state, record, filed)) = found {
            let of_state = state.split('|').nth(1);
            of_state.unwrap_or_default().clone_into(&mut version);
            let user = user.as_str().to_owned();
            // In place of the events that the row may have missed.
            let changed = [filed.as_str(), "conversation.changed", "", ""];
            let changed = changed.map(|field| field.as_bytes().to_vec());
            let inbox = [MemberInbox { user, record }];
            self.file_room_events(room, &state, "", &changed, &inbox)
                .await?;
            self.metrics.repairs("repeated").inc();
        }
        self.outbox.confirm(&member_entry(room, user), version);
        Ok(())
    }

    /// Gives a room a new version, so that rows that are ahead of it follow it again.
    pub async fn touch_room(&self, room: &RoomName) -> Result<(), Error> {
        let access = RoomAccess::of_service(room);
        self.manage_room::<u8>(&TOUCH_ROOM, access, &[]).await?;
        self.metrics.repairs("touched").inc();
        Ok(())
    }

    /// Updates the inboxes of both users again with the present state of their conversation. Returns whether both
    /// have it now.
    pub async fn repeat_updates(&self, one: &UserId, other: &UserId) -> Result<bool, Error> {
        let updated = self.repair(&REPEAT_UPDATES, one, other).await?;
        self.metrics.repairs("repeated").inc();
        Ok(updated)
    }

    /// Gives a conversation a new version, so that rows that are ahead of it follow it again. Returns whether both
    /// inboxes have it now.
    pub async fn touch_conversation(&self, one: &UserId, other: &UserId) -> Result<bool, Error> {
        let updated = self.repair(&TOUCH_CONVERSATION, one, other).await?;
        self.metrics.repairs("touched").inc();
        Ok(updated)
    }

    async fn repair(
        &self,
        script: &'static Script,
        user: &UserId,
        peer: &UserId,
    ) -> Result<bool, Error> {
        let charge = None;
        let request = ConversationRequest { user, peer, charge };
        let pair = request.pair();
        let keys = self.change_keys(&pair, request);
        let args = [user.as_str(), peer.as_str()].map(str::as_bytes);
        let Committed {
            version, updates, ..
        } = self.first_step::<u8>(script, &keys, &args).await?;
        let updated = self.update_inboxes(request, updates).await;
        if let (Some(version), true) = (version, updated) {
            self.outbox.confirm(pair.as_str(), version);
        }
        Ok(updated)
    }

    /// Repairs the conversations that differed from a row when an inbox was listed.
    pub async fn repair_diverged(&self) {
        for (entry, divergence) in self.outbox.take_diverged() {
            let repaired = match (entry, divergence) {
                (OutboxEntry::Pair(one, other), Divergence::Ahead) => {
                    self.touch_conversation(&one, &other).await.map(|_| ())
                }
                (OutboxEntry::Room(room) | OutboxEntry::Member(room, _), Divergence::Ahead) => {
                    self.touch_room(&room).await
                }
                (entry, Divergence::Behind) => self.complete(entry).await,
            };
            if let Err(error) = repaired {
                tracing::debug!(%error, "a conversation could not be repaired");
            }
        }
    }
}
