//! The settings of users in conversations, stored in Redis.

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::change::ConversationRequest;
use super::script::{
    FLAG_CONVERSATION, LIST_BLOCKS, READ_METADATA, RELEASE_PIN, RESERVE_PIN, UPDATE_CONVERSATION,
};
use super::{RateLimited, Store, flag, reply};
use crate::error::{Code, Error};
use crate::model::{
    Block, BlockPage, BlocksCursor, ConversationPatch, ConversationState, Flag, Peer, UserId,
};
use crate::rate::RateLimitRequest;

/// Maximum number of pinned conversations of a user. The text of `TOO_MANY_PINNED` names it too.
const PIN_LIMIT: &str = "100";
/// Approximate number of rows that one page of blocks examines, which takes Redis half a millisecond.
const BLOCKS_STEP: &str = "1000";
/// Maximum number of merges while the metadata changes concurrently.
const MERGE_ATTEMPTS: usize = 5;
/// Matches any stored metadata in the comparison of the script.
const ANY_METADATA: &str = "*";

impl Store {
    /// Changes whether a conversation is archived or pinned, and the metadata. Metadata is merged here,
    /// not in Lua, which cannot represent all JSON; the script compares and swaps.
    pub async fn update_conversation(
        &self,
        request: ConversationRequest<'_>,
        patch: &ConversationPatch,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let peer = request.peer.clone().into();
        let update = async |charge: Option<&RateLimitRequest>, args: &[&str]| {
            let request = ConversationRequest { charge, ..request };
            self.change_state(&UPDATE_CONVERSATION, request, args).await
        };
        self.update_settings(request.user, &peer, request.charge, patch, update)
            .await
    }

    /// Updates the settings of a user in a conversation. `update` runs the script with a rate limit to charge and
    /// arguments.
    pub(super) async fn update_settings(
        &self,
        user: &UserId,
        peer: &Peer,
        charge: Option<&RateLimitRequest>,
        patch: &ConversationPatch,
        update: impl AsyncFn(
            Option<&RateLimitRequest>,
            &[&str],
        ) -> Result<RateLimited<ConversationState>, Error>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let merged = self.merge_settings(user, peer, charge, patch, update);
        // On one Redis the script that pins also reads how many are pinned.
        if !self.two_steps || patch.pinned != Some(true) {
            return merged.await;
        }
        self.pin_elsewhere(user, peer.as_str(), merged).await
    }

    /// Makes an update that pins a conversation on another node of a cluster, if there is a place among the pinned
    /// conversations of the user.
    async fn pin_elsewhere<T>(
        &self,
        user: &UserId,
        peer: &str,
        update: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let id = Uuid::now_v7().to_string();
        if !self.reserve_pin(user, peer, &id).await? {
            return Err(too_many_pinned(Code::TooManyPinned.into()));
        }
        let updated = update.await;
        // A pin whose outcome is unknown keeps its place.
        if !matches!(&updated, Err(error) if error.code == Code::OutcomeUnknown) {
            // If this fails, the place is free again after some minutes.
            let _ = self.release_pin(user, peer, &id, updated.is_ok()).await;
        }
        updated
    }

    /// Merges the metadata, and runs an update again if it changed concurrently.
    async fn merge_settings(
        &self,
        user: &UserId,
        peer: &Peer,
        mut charge: Option<&RateLimitRequest>,
        patch: &ConversationPatch,
        update: impl AsyncFn(
            Option<&RateLimitRequest>,
            &[&str],
        ) -> Result<RateLimited<ConversationState>, Error>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let [archived, pinned] = [patch.archived, patch.pinned].map(|on| on.map_or("", flag));
        for _ in 0..MERGE_ATTEMPTS {
            let mut old = ANY_METADATA.to_owned();
            if patch.merges_metadata() {
                old = self.read_metadata(user, &[peer]).await?.concat();
            }
            let metadata = patch.metadata_after(&old)?;
            let args = [archived, pinned, &metadata, &old, PIN_LIMIT];
            match update(charge, &args).await {
                // The refused attempt was charged.
                Err(error) if error.code == Code::ConversationChanged => charge = None,
                Err(error) if error.code == Code::TooManyPinned => {
                    return Err(too_many_pinned(error));
                }
                result => return result,
            }
        }
        Err(Code::ConversationChanged.into())
    }

    /// Reserves a place among the pinned conversations of a user, for a pin on another node of a cluster. Returns
    /// whether there was one.
    pub async fn reserve_pin(&self, user: &UserId, peer: &str, id: &str) -> Result<bool, Error> {
        let args = [peer, id, PIN_LIMIT].map(str::as_bytes);
        let keys = self.pin_keys(user);
        self.run(&RESERVE_PIN, &keys, &args).await
    }

    /// Ends the reservation of a pin that was `made` or refused.
    pub async fn release_pin(
        &self,
        user: &UserId,
        peer: &str,
        id: &str,
        made: bool,
    ) -> Result<(), Error> {
        let args = [peer, id, flag(made)].map(str::as_bytes);
        let keys = self.pin_keys(user);
        self.run::<u8>(&RELEASE_PIN, &keys, &args).await.map(|_| ())
    }

    fn pin_keys(&self, user: &UserId) -> [String; 2] {
        let user = user.as_str();
        [self.keys.conversations(user), self.keys.pinning(user)]
    }

    /// The metadata of a user in each of several conversations, as JSON; empty if there is none.
    pub async fn read_metadata(
        &self,
        user: &UserId,
        peers: &[&Peer],
    ) -> Result<Vec<String>, Error> {
        if peers.is_empty() {
            return Ok(Vec::new());
        }
        let keys = peers.iter().map(|peer| self.keys.meta_with(user, peer));
        let keys: Vec<_> = keys.collect();
        // On a cluster, conversations can be on different nodes.
        let at_once = if self.two_steps { 1 } else { keys.len() };
        let calls = keys.chunks(at_once).map(async |keys| {
            let args = [user.as_str().as_bytes()];
            self.run::<Vec<String>>(&READ_METADATA, keys, &args).await
        });
        Ok(try_join_all(calls).await?.concat())
    }

    /// Sets or clears a flag. `until` is when a mute ends.
    pub async fn flag_conversation(
        &self,
        request: ConversationRequest<'_>,
        name: Flag,
        on: bool,
        until: Option<DateTime<Utc>>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let until = until.map_or(0, |time| time.timestamp_millis()).to_string();
        let schedule = self.keys.schedule(request.pair().as_str());
        let args = [name.as_str(), flag(on), &until];
        self.change_state_with_keys(&FLAG_CONVERSATION, request, [schedule], &args)
            .await
    }

    /// A page of the peers that a user has blocked, with or without a conversation.
    pub async fn list_blocks(
        &self,
        user: &UserId,
        cursor: Option<&BlocksCursor>,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<BlockPage>, Error> {
        let keys = [self.keys.conversations(user.as_str())];
        let cursor = cursor.map_or("0", BlocksCursor::as_str);
        let args = [cursor.as_bytes(), BLOCKS_STEP.as_bytes()];
        let reply = self
            .run_charged::<(String, Vec<String>)>(&LIST_BLOCKS, charge, &keys, &args)
            .await?;
        reply.try_map(|(next, peers)| {
            let peers = peers.into_iter().map(reply::user);
            let blocks = peers.map(|peer| Ok(Block { peer: peer? }));
            let next = (next != "0").then_some(next);
            let next_cursor = next.map(BlocksCursor::try_from).transpose();
            Ok(BlockPage {
                blocks: blocks.collect::<Result<_, Error>>()?,
                next_cursor: next_cursor.map_err(|why| Error::new(Code::Internal, why))?,
            })
        })
    }
}

fn too_many_pinned(refusal: Error) -> Error {
    Error::field(refusal.code, "/pinned", refusal.detail)
}
