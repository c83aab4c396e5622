//! The places of a user: one for each room that the user is in or is joining. On a cluster they are on another node
//! than the room, so a place is reserved first, and given up if the user does not join.

use futures_util::future::join_all;

use super::Store;
use super::script::{LIST_RESERVED_ROOMS, RELEASE_ROOM, RESERVE_ROOM};
use crate::error::{Code, Error};
use crate::model::{RoomName, UserId};

/// Maximum number of rooms of a user. The text of `TOO_MANY_ROOMS` names it too.
const ROOM_LIMIT: &str = "1000";

/// The users that a change adds to a room, and those of them who have a new place for it.
pub(super) struct Places<'a> {
    room: &'a RoomName,
    new: Vec<&'a UserId>,
}

impl Store {
    /// Reserves a place for a room among the rooms of each user. Refuses all if one has too many.
    pub(super) async fn reserve_rooms<'a>(
        &self,
        room: &'a RoomName,
        users: impl Iterator<Item = &'a UserId>,
    ) -> Result<Places<'a>, Error> {
        let calls = users.map(async |user| (user, self.reserve_room(user, room, ROOM_LIMIT).await));
        let (mut places, mut refused) = (Places { room, new: vec![] }, None);
        for (user, reserved) in join_all(calls).await {
            match reserved {
                Ok(true) => places.new.push(user),
                Ok(false) => {}
                Err(error) if error.code == Code::TooManyRooms => {
                    let detail = format!("{user} is in the maximum number of {ROOM_LIMIT} rooms.");
                    refused = Some(Error::new(error.code, detail));
                }
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            None => Ok(places),
            Some(error) => {
                self.settle_rooms(places, Err(&error)).await;
                Err(error)
            }
        }
    }

    /// Confirms the places of users who joined, and gives up those of users who did not. If this fails, or if the
    /// outcome is unknown, places that are not in use are given up when all are.
    pub(super) async fn settle_rooms(&self, places: Places<'_>, joined: Result<&[String], &Error>) {
        let Places { room, new } = places;
        let joined = match joined {
            Err(error) if error.code == Code::OutcomeUnknown => return,
            Err(_) => &[],
            Ok(joined) => joined,
        };
        let calls = new.into_iter().map(async |user| {
            if joined.iter().any(|id| id == user.as_str()) {
                self.reserve_room(user, room, "").await.map(|_| ())
            } else {
                self.release_room(user, room, "").await.map(|_| ())
            }
        });
        join_all(calls).await;
    }

    /// Reserves a place for a room among the rooms of a user. Without a limit, the user has joined. Returns whether
    /// the place is new.
    pub async fn reserve_room(
        &self,
        user: &UserId,
        room: &RoomName,
        limit: &str,
    ) -> Result<bool, Error> {
        let user = user.as_str();
        let keys = [self.keys.rooms(user), self.keys.conversations(user)];
        let args = [room.as_str(), limit].map(str::as_bytes);
        let reserved = self.run::<u8>(&RESERVE_ROOM, &keys, &args).await?;
        Ok(reserved == 1)
    }

    /// Gives up the place of a room among the rooms of a user, unless it was reserved again after a version.
    pub async fn release_room(
        &self,
        user: &UserId,
        room: &RoomName,
        version: &str,
    ) -> Result<bool, Error> {
        let keys = [self.keys.rooms(user.as_str())];
        let args = [room.as_str(), version].map(str::as_bytes);
        let released = self.run::<u8>(&RELEASE_ROOM, &keys, &args).await?;
        Ok(released == 1)
    }

    /// The rooms that a user is in or is joining, and some that the user has left.
    pub async fn list_reserved_rooms(&self, user: &UserId) -> Result<Vec<RoomName>, Error> {
        let keys = [self.keys.rooms(user.as_str())];
        let rooms: Vec<String> = self.run(&LIST_RESERVED_ROOMS, &keys, &[]).await?;
        Ok(rooms
            .iter()
            .filter_map(|room| RoomName::parse(room))
            .collect())
    }
}
