//! Rooms as conversations of their members, stored in Redis.

use chrono::{DateTime, Utc};

use super::conversations::page_args;
use super::script::{
    CLEAR_ROOM_CONVERSATION, END_ROOM_MUTE, FLAG_ROOM_CONVERSATION, MARK_ROOM_READ,
    MARK_ROOM_UNREAD, READ_ROOM_CONVERSATION, READ_ROOM_SUMMARIES, TRIM_ROOM,
    UPDATE_ROOM_CONVERSATION,
};
use super::{RateLimited, RoomAccess, RoomRequest, Store, Trimmed, reply};
use crate::error::{Code, Error};
use crate::model::{
    Conversation, ConversationPatch, ConversationState, InboxEntry, PageQuery, Peer, RoomName,
    RoomSummary, Seq, UserId,
};
use crate::rate::RateLimitRequest;

/// The reply of `lua/rooms/read_room_conversation.lua`.
type RoomReply = (
    String,
    Vec<String>,
    Vec<String>,
    Option<u64>,
    Option<u64>,
    String,
    String,
    u32,
);

/// What an inbox shows of a room, and what it compares with the row.
pub struct ListedRoom {
    pub summary: RoomSummary,
    pub version: u64,
    /// The version up to which events are filed.
    pub filed: u64,
}

impl Store {
    /// Reads a page of a room and the user's unread messages, and marks the room as read if the query says so and the
    /// user is a member.
    pub async fn read_room_conversation(
        &self,
        request: RoomRequest<'_>,
        query: &PageQuery,
    ) -> Result<RateLimited<Conversation>, Error> {
        let (args, marks_read) = page_args(query)?;
        let args = args.each_ref().map(String::as_str);
        let reply = self
            .change_member::<RoomReply>(&READ_ROOM_CONVERSATION, request, [], &args)
            .await;
        // A peek writes nothing, so its outcome is never unknown.
        let reply = if marks_read {
            reply?
        } else {
            reply.map_err(Error::as_read_error)?
        };
        reply.try_map(|reply| conversation(request, reply))
    }

    /// Marks a room as read up to a message.
    pub async fn mark_room_read(
        &self,
        request: RoomRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let seq = seq.get().to_string();
        self.change_member_state(&MARK_ROOM_READ, request, [], &[&seq])
            .await
    }

    /// Marks a room as unread from a message on.
    pub async fn mark_room_unread(
        &self,
        request: RoomRequest<'_>,
        seq: Seq,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let seq = seq.get().to_string();
        self.change_member_state(&MARK_ROOM_UNREAD, request, [], &[&seq])
            .await
    }

    /// Clears a room for the user, not for others.
    pub async fn clear_room_conversation(
        &self,
        request: RoomRequest<'_>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        self.change_member_state(&CLEAR_ROOM_CONVERSATION, request, [], &[])
            .await
    }

    /// Mutes a room for the user, or ends that. `until` is when the mute ends.
    pub async fn flag_room_conversation(
        &self,
        request: RoomRequest<'_>,
        on: bool,
        until: Option<DateTime<Utc>>,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let on = if on { "1" } else { "0" };
        let until = until.map_or(0, |time| time.timestamp_millis()).to_string();
        let schedule = self.keys.schedule(request.room.as_str());
        self.change_member_state(&FLAG_ROOM_CONVERSATION, request, [schedule], &[on, &until])
            .await
    }

    /// Ends a mute of a room if its time is over. Returns whether it did.
    pub async fn end_room_mute(&self, user: &UserId, room: &RoomName) -> Result<bool, Error> {
        let charge = None;
        let request = RoomRequest { user, room, charge };
        let schedule = self.keys.schedule(room.as_str());
        let ended = self.change_member::<u8>(&END_ROOM_MUTE, request, [schedule], &[]);
        Ok(ended.await?.value == 1)
    }

    /// Changes whether a room is archived or pinned for the user, and the user's metadata, as
    /// [`Store::update_conversation`] does for a pair.
    pub async fn update_room_conversation(
        &self,
        request: RoomRequest<'_>,
        patch: &ConversationPatch,
    ) -> Result<RateLimited<ConversationState>, Error> {
        let peer = Peer::Room(request.room.clone());
        let update = async |charge: Option<&RateLimitRequest>, args: &[&str]| {
            let request = RoomRequest { charge, ..request };
            self.change_member_state(&UPDATE_ROOM_CONVERSATION, request, [], args)
                .await
        };
        self.update_settings(request.user, &peer, request.charge, patch, update)
            .await
    }

    /// Removes the oldest expired messages of a room, as [`Store::trim_conversation`] does for a pair.
    pub async fn trim_room(&self, room: &RoomName) -> Result<Trimmed, Error> {
        if !self.retention.is_limited() {
            return Ok(Trimmed::default());
        }
        let (access, limit) = (RoomAccess::of_service(room), Trimmed::STEP.to_string());
        let trimmed = self
            .manage_room::<u64>(&TRIM_ROOM, access, &[&limit])
            .await?;
        Ok(Trimmed::of(trimmed.value))
    }

    /// What an inbox shows of some rooms.
    pub async fn read_room_summaries(&self, rooms: &[&RoomName]) -> Result<Vec<ListedRoom>, Error> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let keys = rooms.iter().map(|room| self.keys.room_meta(room));
        let keys: Vec<_> = keys.collect();
        // On a cluster, rooms can be on different nodes.
        let at_once = if self.two_steps { 1 } else { keys.len() };
        let calls = keys.chunks(at_once).map(async |keys| {
            self.run::<Vec<String>>(&READ_ROOM_SUMMARIES, keys, &[])
                .await
        });
        let fields = futures_util::future::try_join_all(calls).await?.concat();
        fields.chunks(4).map(listed_room).collect()
    }
}

fn listed_room(fields: &[String]) -> Result<ListedRoom, Error> {
    let malformed = || Error::new(Code::Internal, "The summary of a room is malformed.");
    let [profile, members, version, filed] = fields else {
        return Err(malformed());
    };
    let members = members.parse().map_err(|_| malformed())?;
    Ok(ListedRoom {
        summary: RoomSummary::parse(profile, members)?,
        version: version.parse().map_err(|_| malformed())?,
        filed: filed.parse().map_err(|_| malformed())?,
    })
}

fn conversation(request: RoomRequest<'_>, reply: RoomReply) -> Result<Conversation, Error> {
    let (entry, history, unread, next_before, next_after, metadata, profile, members) = reply;
    let peer = Peer::Room(request.room.clone());
    let entry = InboxEntry::parse(&entry)?;
    let page = (history, unread, next_before, next_after);
    let conversation = reply::conversation(request.user, peer, &entry, page, &metadata)?;
    Ok(Conversation {
        room: Some(RoomSummary::parse(&profile, members)?),
        ..conversation
    })
}
