//! The rooms that a connection watches, a part of its [`Session`](super::Session).

use std::collections::VecDeque;
use std::sync::Arc;

use super::follower::{Follower, Missed, Step};
use super::session_io::{Outgoing, Output};
use crate::error::{Code, Error};
use crate::model::{RoomName, UserId};
use crate::protocol::{Cursor, RawRoomEvent, RoomEventPage};

/// Maximum number of rooms that a connection watches.
const MAX_ROOMS: usize = 64;

/// The rooms that a connection watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    rooms: Vec<Watch>,
    /// Whether a room is being read. Rooms are read one after another, so that a connection causes one read at a
    /// time, however many rooms it watches.
    reading: bool,
}

#[derive(Debug)]
struct Watch {
    room: RoomName,
    state: WatchState,
}

#[derive(Debug)]
enum WatchState {
    /// The command is being executed. No event is sent, because the user may not be allowed to watch the room.
    Opening {
        after: Option<Cursor>,
        missed: Missed,
    },
    Open {
        viewer: UserId,
        /// Messages up to this seq are not shown to the user.
        hidden_up_to: u64,
        follower: Follower,
    },
}

impl Watches {
    /// Begins to watch a room, or begins anew.
    pub(super) fn begin(&mut self, room: &RoomName, after: Option<Cursor>) -> Result<(), Error> {
        let missed = Missed::default();
        let state = WatchState::Opening { after, missed };
        if let Some(watch) = self.find(room) {
            watch.state = state;
            return Ok(());
        }
        if self.rooms.len() >= MAX_ROOMS {
            let why =
                "A connection watches at most 64 rooms. Send `unwatch` for one of them first.";
            return Err(Error::new(Code::TooManyRooms, why));
        }
        let room = room.clone();
        self.rooms.push(Watch { room, state });
        Ok(())
    }

    /// Stops watching a room.
    pub(super) fn end(&mut self, room: &RoomName) {
        self.rooms.retain(|watch| watch.room != *room);
        if self.rooms.is_empty() {
            self.rooms = Vec::new();
        }
    }

    /// The user may watch the room. Calls `acknowledge` with the cursor at which the events start, before the
    /// first of them.
    pub(super) fn open(
        &mut self,
        room: &RoomName,
        page: RoomEventPage,
        out: &mut VecDeque<Output>,
        acknowledge: impl FnOnce(Cursor, &mut VecDeque<Output>),
    ) {
        let Some(watch) = self.find(room) else {
            return;
        };
        let WatchState::Opening { after, missed } = &mut watch.state else {
            return;
        };
        let cursor = after.unwrap_or(page.next);
        let follower = Follower::reading(cursor, std::mem::take(missed));
        watch.state = WatchState::Open {
            viewer: page.viewer.clone(),
            hidden_up_to: page.hidden_up_to,
            follower,
        };
        acknowledge(cursor, out);
        watch.send_page(page, out);
        self.read_next(out);
    }

    /// An event of a room was published.
    pub(super) fn receive(&mut self, event: &Arc<RawRoomEvent>, out: &mut VecDeque<Output>) {
        if let Some(watch) = self.find(event.room()) {
            watch.receive(event, out);
            self.read_next(out);
        }
    }

    /// Published events may have been lost.
    pub(super) fn note_gap(&mut self, out: &mut VecDeque<Output>) {
        for watch in &mut self.rooms {
            match &mut watch.state {
                WatchState::Opening { missed, .. } => missed.gap = true,
                WatchState::Open { follower, .. } => {
                    follower.note_gap();
                }
            }
        }
        self.read_next(out);
    }

    /// The result of reading a room after a cursor.
    pub(super) fn handle_page(
        &mut self,
        room: RoomName,
        after: Cursor,
        page: Result<RoomEventPage, Error>,
        out: &mut VecDeque<Output>,
    ) {
        self.reading = false;
        // The command `watch` or `unwatch` may have been executed meanwhile.
        let watch = self
            .find(&room)
            .filter(|watch| watch.reads() == Some(after));
        match (watch, page) {
            (None, _) => {}
            (Some(watch), Ok(page)) => watch.send_page(page, out),
            (Some(_), Err(error)) if is_denial(&error) => {
                self.end(&room);
                out.push_back(Output::Unwatch(room.clone()));
                out.push_back(Outgoing::Unwatched(room, error).into());
            }
            (Some(_), Err(_)) => {
                self.reading = true;
                out.push_back(Output::ReadRoomLater(room, after));
            }
        }
        self.read_next(out);
    }

    /// Reads the next room that is to be read, unless one is being read.
    fn read_next(&mut self, out: &mut VecDeque<Output>) {
        if self.reading {
            return;
        }
        let next = self.rooms.iter().find_map(|watch| {
            let after = watch.reads()?;
            Some(Output::ReadRoom(watch.room.clone(), after))
        });
        self.reading = next.is_some();
        out.extend(next);
    }

    fn find(&mut self, room: &RoomName) -> Option<&mut Watch> {
        self.rooms.iter_mut().find(|watch| watch.room == *room)
    }
}

impl Watch {
    /// The cursor after which the room is to be read, if it is.
    fn reads(&self) -> Option<Cursor> {
        match &self.state {
            WatchState::Open { follower, .. } if follower.is_reading() => Some(follower.cursor()),
            _ => None,
        }
    }

    fn receive(&mut self, event: &Arc<RawRoomEvent>, out: &mut VecDeque<Output>) {
        let (viewer, hidden_up_to, follower) = match &mut self.state {
            WatchState::Opening { missed, .. } => {
                missed.last = event.cursor().or(missed.last);
                return;
            }
            WatchState::Open {
                viewer,
                hidden_up_to,
                follower,
            } => (viewer, *hidden_up_to, follower),
        };
        let Some(cursor) = event.cursor() else {
            if !follower.is_reading() && !event.is_of(viewer) {
                let json = event.json_with_cursor(follower.cursor());
                out.push_back(Outgoing::Message { json, cursor: None }.into());
            }
            return;
        };
        if event.may_end_access_of(viewer) && !follower.is_reading() {
            // The store says whether the user may still watch, and the event is among those that are read.
            if !follower.cursor().reaches(cursor) {
                follower.read();
            }
        } else if follower.receive(cursor, event.prev()) == Step::Send {
            send(event, hidden_up_to, out);
        }
    }

    /// Sends a page that was read. The follower may want another one afterwards.
    fn send_page(&mut self, page: RoomEventPage, out: &mut VecDeque<Output>) {
        let WatchState::Open {
            hidden_up_to,
            follower,
            ..
        } = &mut self.state
        else {
            return;
        };
        for event in page.events {
            send(&Arc::new(event), *hidden_up_to, out);
        }
        follower.finish_page(page.next, page.more);
    }
}

/// Sends an event, without a message that is hidden from the user.
fn send(event: &Arc<RawRoomEvent>, hidden_up_to: u64, out: &mut VecDeque<Output>) {
    let outgoing = match event.without_hidden_message(hidden_up_to) {
        Some(json) => Outgoing::Message { json, cursor: None },
        None => Outgoing::RoomEvent(event.clone()),
    };
    out.push_back(outgoing.into());
}

/// Whether the user may not watch the room.
fn is_denial(error: &Error) -> bool {
    matches!(error.code, Code::RoomNotFound | Code::NotAMember)
}
