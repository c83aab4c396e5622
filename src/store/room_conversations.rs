//! Rooms as conversations of their members, stored in Redis.

use chrono::{DateTime, Utc};

use super::archived_pages::{ArchivedPage, ReadPage};
use super::conversations::page_args;
use super::retention::TrimCalls;
use super::script::{
    CLEAR_ROOM_CONVERSATION, END_ROOM_MUTE, FLAG_ROOM_CONVERSATION, MARK_ROOM_READ,
    MARK_ROOM_UNREAD, READ_ROOM_CONVERSATION, READ_ROOM_SUMMARIES, TRIM_ROOM,
    UPDATE_ROOM_CONVERSATION,
};
use super::{RateLimited, RoomAccess, RoomRequest, Store, Trimmed, flag, reply};
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
    Option<ArchivedPage>,
);

/// What a reply has besides the page: entry, unread messages, metadata, profile, number of members.
type RoomReplyRest = (String, Vec<String>, String, String, u32);

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
        let read = async |charge, args: [&str; 6]| {
            let request = RoomRequest { charge, ..request };
            let reply =
                self.change_member::<RoomReply>(&READ_ROOM_CONVERSATION, request, [], &args);
            reply.await.map(|reply| reply.map(split_reply))
        };
        let name = request.room.as_str();
        let (read, is_archived) = self
            .read_page(name, (args, marks_read), request.charge, read)
            .await?;
        let read = read.try_map(|(page, rest)| conversation(request, page, rest))?;
        if is_archived && marks_read {
            Box::pin(self.mark_page_read(request, read.value.last_seq)).await?;
        }
        Ok(read)
    }

    /// Marks a room as read whose page needed the archive: only when the page is complete, because one that cannot be
    /// shown is not read. Strangers mark nothing.
    async fn mark_page_read(&self, request: RoomRequest<'_>, seq: Seq) -> Result<(), Error> {
        let charge = None;
        match self
            .mark_room_read(RoomRequest { charge, ..request }, seq)
            .await
        {
            Err(error) if error.code != Code::NotAMember => Err(error),
            _ => Ok(()),
        }
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
        let until = until.map_or(0, |time| time.timestamp_millis()).to_string();
        let schedule = self.keys.schedule(request.room.as_str());
        self.change_member_state(
            &FLAG_ROOM_CONVERSATION,
            request,
            [schedule],
            &[flag(on), &until],
        )
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
        let mut calls = TrimCalls::default();
        loop {
            let args = [limit.as_str(), &calls.old];
            let reply = self.manage_room(&TRIM_ROOM, access, &args).await?.value;
            if let Some(trimmed) = self.next_trim(room.as_str(), reply, &mut calls).await? {
                return Ok(trimmed);
            }
        }
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

fn split_reply(reply: RoomReply) -> (ReadPage, RoomReplyRest) {
    let (entry, history, unread, next_before, next_after, metadata, profile, members, archived) =
        reply;
    let page = ReadPage {
        history,
        next_before,
        next_after,
        archived,
    };
    (page, (entry, unread, metadata, profile, members))
}

fn conversation(
    request: RoomRequest<'_>,
    page: ReadPage,
    (entry, unread, metadata, profile, members): RoomReplyRest,
) -> Result<Conversation, Error> {
    let peer = Peer::Room(request.room.clone());
    let entry = InboxEntry::parse(&entry)?;
    let conversation = reply::conversation(request.user, peer, &entry, page, unread, &metadata)?;
    Ok(Conversation {
        room: Some(RoomSummary::parse(&profile, members)?),
        ..conversation
    })
}
