//! The unread messages of users, stored in Redis: totals, and marking all of them as read.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::change::ConversationRequest;
use super::script::{COUNT_UNREAD, FIND_UNREAD};
use super::{RateLimited, RoomRequest, Store, reply};
use crate::error::{Code, Error};
use crate::model::{MarkedRead, Peer, Seq, UnreadTotals, UserId};
use crate::rate::RateLimitRequest;

/// Approximate number of conversations in one step of the search for unread ones, which takes Redis
/// less than a millisecond.
const UNREAD_STEP: &str = "500";
/// Number of conversations that are marked as read at the same time.
const MARKED_AT_ONCE: usize = 32;
/// How long one call marks conversations as read before it returns with `done: false`.
const MARK_TIMEOUT: Duration = Duration::from_secs(2);

/// One step of the search for conversations with unread messages.
pub struct UnreadStep {
    /// The peers, each with the newest message of the conversation.
    found: Vec<(Peer, Seq)>,
    /// The position of the next step; `None` at the end.
    next: Option<String>,
}

impl Store {
    /// The unread totals of a user: one lookup for every size of the inbox.
    pub async fn count_unread(
        &self,
        user: &UserId,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<UnreadTotals>, Error> {
        let keys = [self.keys.conversations(user.as_str())];
        let reply = self
            .run_charged::<(u64, u64, u64)>(&COUNT_UNREAD, charge, &keys, &[])
            .await?;
        reply.try_map(
            |(total_unread_count, unread_conversations, muted_unread_count)| {
                Ok(UnreadTotals {
                    total_unread_count,
                    unread_conversations,
                    muted_unread_count,
                })
            },
        )
    }

    /// One step of the search for a user's conversations with unread messages.
    pub async fn find_unread(
        &self,
        user: &UserId,
        cursor: &str,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<UnreadStep>, Error> {
        let keys = [self.keys.conversations(user.as_str())];
        let args = [cursor, UNREAD_STEP].map(str::as_bytes);
        let step = self
            .run_charged::<(String, Vec<String>, Vec<u64>)>(&FIND_UNREAD, charge, &keys, &args)
            .await?;
        step.try_map(|(next, peers, seqs)| {
            let found = peers.into_iter().zip(seqs);
            let found = found.map(|(peer, seq)| Ok((reply::peer(peer)?, reply::seq(seq)?)));
            Ok(UnreadStep {
                found: found.collect::<Result<_, Error>>()?,
                next: (next != "0").then_some(next),
            })
        })
    }

    /// Marks all conversations of a user as read. Returns with `done: false` after 2 seconds.
    /// Repeating the call continues, also after an error, because only conversations with unread
    /// messages are marked.
    pub async fn mark_all_read(
        &self,
        user: &UserId,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<MarkedRead>, Error> {
        let started = Instant::now();
        let RateLimited {
            value: mut step,
            quota,
        } = self.find_unread(user, "0", charge).await?;
        let mut marked = MarkedRead::default();
        loop {
            for some in step.found.chunks(MARKED_AT_ONCE) {
                if started.elapsed() > MARK_TIMEOUT {
                    return Ok(RateLimited {
                        value: marked,
                        quota,
                    });
                }
                // Up to the message that was the newest when the conversation was found: what
                // arrives later stays unread.
                let marks = some
                    .iter()
                    .map(|(peer, seq)| self.mark_found(user, peer, *seq));
                marked.conversations += try_join_all(marks).await?.len() as u64;
            }
            let Some(cursor) = step.next else {
                marked.done = true;
                return Ok(RateLimited {
                    value: marked,
                    quota,
                });
            };
            step = self.find_unread(user, &cursor, None).await?.value;
        }
    }

    /// Marks a conversation as read that was found to have unread messages.
    async fn mark_found(&self, user: &UserId, peer: &Peer, seq: Seq) -> Result<(), Error> {
        let charge = None;
        match peer {
            Peer::User(peer) => {
                let request = ConversationRequest { user, peer, charge };
                self.mark_read(request, seq, false).await.map(|_| ())
            }
            Peer::Room(room) => {
                let request = RoomRequest { user, room, charge };
                match self.mark_room_read(request, seq).await {
                    // The user has left meanwhile, and the row follows.
                    Err(error) if matches!(error.code, Code::RoomNotFound | Code::NotAMember) => {
                        Ok(())
                    }
                    marked => marked.map(|_| ()),
                }
            }
        }
    }
}
