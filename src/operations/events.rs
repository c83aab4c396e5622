//! The event stream of a user, and typing events.

use super::{Operations, Target, target};
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{Participants, RoomName, UserId};
use crate::protocol::{Cursor, RawEventPage, RoomEventPage, StreamState};
use crate::rate::RateLimited;
use crate::store::RoomRequest;

impl Operations {
    /// Returns the user to whose stream the caller may listen: the one named in the query, or the
    /// user of the token. Backends must name one.
    pub fn authorize_listener(
        &self,
        caller: &Caller,
        named: Option<UserId>,
    ) -> Result<UserId, Error> {
        caller.acting_as(named, "/query/user")
    }

    /// Opens the stream of `user`: from now on its events are kept. Returns its current end.
    pub async fn open_stream(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<RateLimited<StreamState>, Error> {
        let charge = self.authorize_request(caller, user)?;
        let opened = self.store.open_stream(user, charge.as_ref()).await;
        // Opening a stream twice is harmless, so an unknown outcome need not be reported.
        opened.map_err(Error::as_read_error)
    }

    /// Returns the events of `user` after a cursor. Not charged, because [`Operations::open_stream`] was.
    pub async fn read_events(
        &self,
        caller: &Caller,
        user: &UserId,
        after: Cursor,
        limit: u16,
    ) -> Result<RawEventPage, Error> {
        caller.authorize(user)?;
        let page = self.store.read_events(user, after, limit, None).await?;
        Ok(page.value)
    }

    /// Returns the events of `user` after a cursor to an open connection. If the stream and its journal
    /// have been deleted since, opens the stream again.
    pub async fn resume_stream(
        &self,
        caller: &Caller,
        user: &UserId,
        after: Cursor,
        limit: u16,
    ) -> Result<RawEventPage, Error> {
        let page = self.read_events(caller, user, after, limit).await?;
        if !page.is_reset() {
            return Ok(page);
        }
        self.store.open_stream(user, None).await?;
        self.read_events(caller, user, after, limit).await
    }

    /// Returns the events of a room after a cursor, if `user` may watch it: a member, or anyone who is not banned
    /// if the room is open. Without a cursor, returns only its end.
    pub async fn watch_room(
        &self,
        caller: &Caller,
        user: &UserId,
        room: &RoomName,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<RateLimited<RoomEventPage>, Error> {
        let charge = self.authorize_request(caller, user)?;
        let charge = charge.as_ref();
        let request = RoomRequest { user, room, charge };
        self.store.watch_room(request, after, limit).await
    }

    /// Returns more events of a room that `user` watches, if that is still allowed. Not charged, because
    /// [`Operations::watch_room`] was.
    pub async fn resume_watch(
        &self,
        caller: &Caller,
        user: &UserId,
        room: &RoomName,
        after: Cursor,
        limit: u16,
    ) -> Result<RoomEventPage, Error> {
        caller.authorize(user)?;
        let charge = None;
        let request = RoomRequest { user, room, charge };
        let page = self.store.watch_room(request, Some(after), limit).await?;
        Ok(page.value)
    }

    /// Notifies the peer's devices, or those who watch the room, that `user` is typing, at most once a second.
    /// Refused if the peer has blocked `user`, or if `user` is not a member. Returns whether they were notified.
    pub async fn announce_typing(
        &self,
        caller: &Caller,
        users: &Participants,
    ) -> Result<RateLimited<bool>, Error> {
        let charge = self.authorize_request(caller, users.user())?;
        match target(users, charge.as_ref()) {
            Target::Pair(request) => self.store.announce_typing(request).await,
            Target::Room(request) => self.store.announce_room_typing(request).await,
        }
    }
}
