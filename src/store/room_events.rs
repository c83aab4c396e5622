//! The events of rooms for those who watch them, and typing events in rooms, stored in Redis.

use chrono::Utc;

use super::events::PAGE_BYTES;
use super::script::{ANNOUNCE_ROOM_TYPING, WATCH_ROOM};
use super::{RateLimited, RoomRequest, Store};
use crate::error::Error;
use crate::protocol::{Cursor, RawRoomEvent, RoomEvent, RoomEventPage};

impl Store {
    /// The events of a room after a cursor, as the user may watch them; without a cursor only its end. If the
    /// events are no longer stored, the page has one `conversation.changed` instead.
    pub async fn watch_room(
        &self,
        request: RoomRequest<'_>,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<RateLimited<RoomEventPage>, Error> {
        let RoomRequest { user, room, charge } = request;
        let [_, meta, members, events, ..] = self.keys.room(room);
        let keys = [meta, members, events];
        let [epoch, version, _] = after.map(Cursor::parts).unwrap_or_default();
        let limit = limit.to_string();
        let args = [
            room.as_str(),
            user.as_str(),
            &epoch,
            &version,
            &limit,
            PAGE_BYTES,
        ];
        let args = args.map(str::as_bytes);
        let reply = self
            .run_charged::<(u64, u64, u8, u64, Vec<String>)>(&WATCH_ROOM, charge, &keys, &args)
            .await?;
        reply.try_map(|(epoch, version, more, hidden_up_to, events)| {
            let now = Utc::now();
            let events = events
                .into_iter()
                .map(|event| Ok(RawRoomEvent::parse(room, event)?.at(now)));
            Ok(RoomEventPage {
                viewer: user.clone(),
                hidden_up_to,
                events: events.collect::<Result<_, Error>>()?,
                next: Cursor::new(epoch, version),
                more: more == 1,
            })
        })
    }

    /// Publishes a typing event to those who watch the room, at most once a second; returns whether it was
    /// published.
    pub async fn announce_room_typing(
        &self,
        request: RoomRequest<'_>,
    ) -> Result<RateLimited<bool>, Error> {
        let RoomRequest { user, room, charge } = request;
        let [_, meta, members, events, ..] = self.keys.room(room);
        let keys = [meta, members, events, self.keys.room_typing(room, user)];
        let event = RoomEvent::typing(room.clone(), user.clone()).to_json();
        let args = [room.as_str(), user.as_str(), &event].map(str::as_bytes);
        let published = self
            .run_charged::<u8>(&ANNOUNCE_ROOM_TYPING, charge, &keys, &args)
            .await?;
        Ok(published.map(|published| published == 1))
    }
}
