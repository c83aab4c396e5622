//! What a user leaves behind in rooms: its export and its erasure.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::erasure::erasure_args;
use super::script::{
    DROP_ROOM_EVENTS, ERASE_ROOM_MESSAGES, EXPORT_ROOM_MESSAGES, FORGET_ROOM_MEMBER,
    FORGET_ROOM_ROW,
};
use super::users::{ExportPage, MESSAGE_STEP};
use super::{PAGE_BYTES, RoomRequest, Store, flag, reply};
use crate::error::{Code, Error};
use crate::model::{Peer, RoomName, Seq, StoredMessage, UserId};

/// How long an erasure waits until the events of a room are filed. A process that died holds the lease for some seconds.
const FILING_TIMEOUT: Duration = Duration::from_secs(8);
/// How often it looks meanwhile.
const FILING_PAUSE: Duration = Duration::from_millis(20);
/// Number of journals that are emptied at the same time.
const JOURNALS_AT_ONCE: usize = 32;

impl Store {
    /// A part of a room for the export or the erasure of `user`: messages newer than `after`, oldest first. With
    /// `only_own`, only messages of the user.
    pub async fn export_room_messages(
        &self,
        user: &UserId,
        room: &RoomName,
        after: Seq,
        only_own: bool,
    ) -> Result<ExportPage, Error> {
        let [messages, meta, ..] = self.keys.room(room);
        let after = after.get().to_string();
        let own = flag(only_own);
        let args = [user.as_str(), &after, MESSAGE_STEP, PAGE_BYTES, own].map(str::as_bytes);
        let keys = [messages, meta];
        let export = async || self.run(&EXPORT_ROOM_MESSAGES, &keys, &args).await;
        let mut page = self.complete_export(room.as_str(), export).await?;
        if only_own {
            page.messages.retain(|message| message.is_from(user));
        }
        Ok(page)
    }

    /// Erases the data of a user in a room. The user leaves first, so that nothing is added meanwhile; the row in the
    /// inbox is deleted last, so that an interrupted erasure finds the room again.
    pub(super) async fn erase_from_room(
        &self,
        user: &UserId,
        room: &RoomName,
    ) -> Result<u64, Error> {
        let Some(last) = self.forget_room_member(user, room).await? else {
            self.forget_room_row(user, room, false).await?;
            return Ok(0);
        };
        let with = Peer::Room(room.clone());
        let (erased, _) = self.erase_messages_with(user, &with, Some(last)).await?;
        self.drop_copies(room).await?;
        self.forget_room_row(user, room, true).await?;
        Ok(erased)
    }

    /// Replaces the messages of a user in a part of a room by tombstones, and removes the user's reactions from the
    /// messages of others. Returns the number of new tombstones, and the number of messages that changed concurrently
    /// and keep a reaction.
    pub async fn erase_room_messages(
        &self,
        user: &UserId,
        room: &RoomName,
        part: &[StoredMessage],
    ) -> Result<(u64, u64), Error> {
        let Some(args) = erasure_args(user, part)? else {
            return Ok((0, 0));
        };
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let (request, schedule) = self.erasing_from(user, room);
        let erased = self.change_room(&ERASE_ROOM_MESSAGES, request, [schedule], &args);
        Ok(erased.await?.value)
    }

    /// Removes a user who is being erased from a room. Returns the seq of the newest message; `None` if there is no
    /// such room.
    pub async fn forget_room_member(
        &self,
        user: &UserId,
        room: &RoomName,
    ) -> Result<Option<Seq>, Error> {
        let (request, schedule) = self.erasing_from(user, room);
        let forgotten =
            self.change_room::<Option<u64>>(&FORGET_ROOM_MEMBER, request, [schedule], &[]);
        forgotten.await?.value.map(reply::seq).transpose()
    }

    /// The request of an erasure, and the schedule from which it takes what belongs to the user.
    fn erasing_from<'a>(&self, user: &'a UserId, room: &'a RoomName) -> (RoomRequest<'a>, String) {
        let charge = None;
        let request = RoomRequest { user, room, charge };
        (request, self.keys.schedule(room.as_str()))
    }

    /// Removes what remains of a room in the inbox of an erased user. Returns whether nothing remains.
    pub async fn forget_room_row(
        &self,
        user: &UserId,
        room: &RoomName,
        exists: bool,
    ) -> Result<bool, Error> {
        let name = user.as_str();
        let keys = [self.keys.conversations(name), self.keys.rooms(name)];
        let args = [room.as_str(), flag(exists)].map(str::as_bytes);
        let removed = self.run::<u8>(&FORGET_ROOM_ROW, &keys, &args).await?;
        Ok(removed == 1)
    }

    /// Drops the copies of the messages of a room that are in its events and in the journals of its members.
    async fn drop_copies(&self, room: &RoomName) -> Result<(), Error> {
        let (begun, mut version) = (Instant::now(), String::new());
        while begun.elapsed() < FILING_TIMEOUT {
            // Another task can have the lease of the room, and files it then.
            self.file_room(room).await?;
            let (newest, members) = self.drop_room_events(room, &version).await?;
            if let Some(members) = members {
                return self.drop_journals(&members).await;
            }
            version = newest;
            sleep(FILING_PAUSE).await;
        }
        Err(Code::Unavailable.into())
    }

    /// Drops the kept events of a room up to a version, or all that there are. Returns the version of the newest of
    /// them, and the ids of the members of the room, or `None` if some of the events are not filed.
    pub async fn drop_room_events(
        &self,
        room: &RoomName,
        version: &str,
    ) -> Result<(String, Option<Vec<String>>), Error> {
        let [_, meta, members, events, ..] = self.keys.room(room);
        let args = [version.as_bytes()];
        self.run(&DROP_ROOM_EVENTS, &[meta, members, events], &args)
            .await
    }

    /// Drops the kept events of users, which contain texts of an erased user.
    async fn drop_journals(&self, users: &[String]) -> Result<(), Error> {
        let dropped = stream::iter(users).map(async |user| {
            let user = reply::user(user.clone())?;
            self.drop_events(&user).await
        });
        let mut dropped = dropped.buffer_unordered(JOURNALS_AT_ONCE);
        while let Some(one) = dropped.next().await {
            one?;
        }
        Ok(())
    }
}
