//! The journals of users, typing events and tickets, stored in Redis.

use chrono::Utc;

use super::change::ConversationRequest;
use super::script::{
    ANNOUNCE_TYPING, FIND_TICKET, ISSUE_TICKET, OPEN_STREAM, READ_EVENTS, REDEEM_TICKET,
};
use super::{RateLimited, Store};
use crate::error::{Code, Error};
use crate::model::{UnreadTotals, UserId};
use crate::protocol::{Cursor, Event, RawEvent, RawEventPage, StreamState};
use crate::rate::RateLimitRequest;

/// Seconds for which a journal is stored after the user's last connection: 7 days.
pub(super) const EVENTS_S: &str = "604800";
/// Bytes of events after which one call stops reading. An event may have some 100 KiB.
pub(super) const PAGE_BYTES: &str = "262144";

impl Store {
    /// The current end of a user's stream, with the inbox totals. From now on the journal stores the
    /// user's events.
    pub async fn open_stream(
        &self,
        user: &UserId,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<StreamState>, Error> {
        let name = user.as_str();
        let keys = [self.keys.conversations(name), self.keys.events(name)];
        let args = [EVENTS_S.as_bytes()];
        let reply = self
            .run_charged::<(u64, u64, u64, u64, u64)>(&OPEN_STREAM, charge, &keys, &args)
            .await?;
        reply.try_map(
            |(epoch, offset, total_unread_count, unread_conversations, muted_unread_count)| {
                Ok(StreamState {
                    cursor: Cursor::new(epoch, offset),
                    totals: UnreadTotals {
                        total_unread_count,
                        unread_conversations,
                        muted_unread_count,
                    },
                })
            },
        )
    }

    /// The events of a user after a cursor. If the journal no longer has them, the page tells which
    /// conversations changed instead.
    pub async fn read_events(
        &self,
        user: &UserId,
        after: Cursor,
        limit: u16,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<RawEventPage>, Error> {
        let name = user.as_str();
        let keys = [self.keys.conversations(name), self.keys.events(name)];
        let ([epoch, offset, scan], limit) = (after.parts(), limit.to_string());
        let args = [&epoch, &offset, &scan, &limit, PAGE_BYTES].map(str::as_bytes);
        let reply = self
            .run_charged::<(Vec<String>, String, u8)>(&READ_EVENTS, charge, &keys, &args)
            .await?;
        reply.try_map(|(events, next, more)| {
            let now = Utc::now();
            let events = events.into_iter();
            let events = events.map(|event| Ok(RawEvent::parse(event)?.at(now)));
            let next = next
                .parse()
                .map_err(|why| Error::new(Code::Internal, why))?;
            Ok(RawEventPage {
                events: events.collect::<Result<_, Error>>()?,
                next,
                more: more == 1,
            })
        })
    }

    /// Publishes a typing event to the peer, at most once a second; returns whether it was
    /// published.
    pub async fn announce_typing(
        &self,
        request: ConversationRequest<'_>,
    ) -> Result<RateLimited<bool>, Error> {
        let (keys, pair) = (&self.keys, request.pair());
        let channel = keys.events(request.peer.as_str());
        let event = Event::typing(request.user.clone()).to_json();
        let keys = [keys.meta(&pair), keys.typing(&pair, request.user)];
        let near = if self.two_steps { "" } else { &channel };
        let args = [request.peer.as_str(), near, &event].map(str::as_bytes);
        let published = self
            .run_charged::<u8>(&ANNOUNCE_TYPING, request.charge, &keys, &args)
            .await?;
        let published = published.map(|published| published == 1);
        if published.value && self.two_steps {
            // Nothing depends on it: the next event of the user follows in a second.
            let _ = self.publish(std::iter::once(channel), &event).await;
        }
        Ok(published)
    }

    /// Stores a ticket by its digest. [`Store::redeem_ticket`] returns `bearer` for it.
    pub async fn issue_ticket(
        &self,
        digest: &str,
        bearer: &str,
        lifetime_s: u32,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<u8>, Error> {
        let lifetime_s = lifetime_s.to_string();
        let args = [bearer.as_bytes(), lifetime_s.as_bytes()];
        self.run_charged(&ISSUE_TICKET, charge, &[self.keys.ticket(digest)], &args)
            .await
    }

    /// Returns the bearer of a ticket; `None` if there is no such ticket.
    pub async fn find_ticket(&self, digest: &str) -> Result<Option<String>, Error> {
        self.run(&FIND_TICKET, &[self.keys.ticket(digest)], &[])
            .await
    }

    /// Deletes a ticket and returns its bearer; `None` if there is no such ticket.
    pub async fn redeem_ticket(&self, digest: &str) -> Result<Option<String>, Error> {
        self.run(&REDEEM_TICKET, &[self.keys.ticket(digest)], &[])
            .await
    }
}
