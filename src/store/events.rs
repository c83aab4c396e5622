//! The streams of users in Redis, and who may listen with a ticket.

use super::change::ConversationRequest;
use super::script::{ANNOUNCE_TYPING, ISSUE_TICKET, OPEN_STREAM, READ_EVENTS, REDEEM_TICKET};
use super::{RateLimited, Store};
use crate::error::Error;
use crate::model::{UnreadTotals, UserId};
use crate::protocol::{Cursor, Event, EventPage, RawEvent, StreamState};
use crate::rate::RateLimitRequest;

/// Seconds for which the journal of a user is kept who does not listen: 7 days.
pub(super) const EVENTS_S: &str = "604800";
/// Bytes of events that one call reads, about. A message has up to 64 KiB.
const PAGE_BYTES: &str = "262144";

impl Store {
    /// Where the stream of a user is who is about to listen; from now on events are kept.
    pub async fn open_stream(
        &self,
        user: &UserId,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<StreamState>, Error> {
        let name = user.as_str();
        let keys = [self.keys.conversations(name), self.keys.events(name)];
        let args = [EVENTS_S.as_bytes()];
        let reply = self
            .run_charged::<(u64, u64, u64, u64)>(&OPEN_STREAM, charge, &keys, &args)
            .await?;
        reply.try_map(
            |(epoch, offset, total_unread_count, unread_conversations)| {
                Ok(StreamState {
                    cursor: Cursor::new(epoch, offset),
                    totals: UnreadTotals {
                        total_unread_count,
                        unread_conversations,
                    },
                })
            },
        )
    }

    /// What happened behind a place in the stream of a user. Never refuses: where events are not
    /// kept any more it tells which conversations changed.
    pub async fn read_events(
        &self,
        user: &UserId,
        after: Cursor,
        limit: u16,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<EventPage>, Error> {
        let name = user.as_str();
        let keys = [self.keys.conversations(name), self.keys.events(name)];
        let ([epoch, offset, coarse], limit) = (after.parts(), limit.to_string());
        let args = [&epoch, &offset, &coarse, &limit, PAGE_BYTES].map(str::as_bytes);
        let reply = self
            .run_charged::<(Vec<String>, u8)>(&READ_EVENTS, charge, &keys, &args)
            .await?;
        reply.try_map(|(events, more)| {
            let events = events.into_iter().map(RawEvent::parse);
            Ok(EventPage {
                events: events.collect::<Result<_, _>>()?,
                more: more == 1,
            })
        })
    }

    /// Tells the peer's devices that the user is typing; answers whether they were told.
    pub async fn announce_typing(
        &self,
        act: ConversationRequest<'_>,
    ) -> Result<RateLimited<bool>, Error> {
        let (keys, pair) = (&self.keys, act.pair());
        let channel = keys.events(act.peer.as_str());
        let event = Event::typing(act.user.clone()).to_json();
        let keys = [keys.meta(&pair), keys.typing(&pair, act.user)];
        let args = [act.peer.as_str(), &channel, &event].map(str::as_bytes);
        let told = self
            .run_charged::<u8>(&ANNOUNCE_TYPING, act.charge, &keys, &args)
            .await?;
        told.try_map(|told| Ok(told == 1))
    }

    /// Keeps a ticket, by its digest, for so many seconds. `bearer` is given back for it.
    pub async fn issue_ticket(
        &self,
        digest: &str,
        bearer: &str,
        good_s: u32,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<u8>, Error> {
        let good_s = good_s.to_string();
        let args = [bearer.as_bytes(), good_s.as_bytes()];
        self.run_charged(&ISSUE_TICKET, charge, &[self.keys.ticket(digest)], &args)
            .await
    }

    /// Uses a ticket up: what was kept with it, or `None` if there is none.
    pub async fn redeem_ticket(&self, digest: &str) -> Result<Option<String>, Error> {
        self.run(&REDEEM_TICKET, &[self.keys.ticket(digest)], &[])
            .await
    }
}
