//! Inboxes, stored in Redis.

use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::{try_join_all, try_join3};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::change::ConversationRequest;
use super::outbox::{Divergence, OutboxEntry};
use super::script::{
    COUNT_UNREAD, FIND_UNREAD, LIST_CONVERSATIONS, READ_LAST_MESSAGE, READ_LAST_MESSAGES,
};
use super::{RateLimited, RoomRequest, Store, reply};
use crate::error::{Code, Error};
use crate::model::{
    ConversationState, Inbox, InboxCursor, InboxQuery, InboxRow, MarkedRead, Peer, RoomSummary,
    Seq, UnreadTotals, UserId,
};
use crate::rate::RateLimitRequest;

/// Maximum number of conversations that one call searches for those that a query wants. A page may
/// therefore have less than `limit` conversations and still have a next page.
const SCAN_LIMIT: &str = "1000";
/// Approximate number of conversations in one step of the search for unread ones, which takes Redis
/// less than a millisecond.
const UNREAD_STEP: &str = "500";
/// Number of conversations whose newest message is read at the same time on a cluster.
const READ_AT_ONCE: usize = 32;
/// Maximum number of bytes of the newest messages of a page; `lua/messages/read_last_messages.lua` has the same.
const LAST_MESSAGES_BYTES: usize = 458_752;
/// How long the update of a row may take before it counts as lost, in microseconds.
const BEHIND_US: i64 = 3_000_000;
/// Number of conversations that are marked as read at the same time.
const MARKED_AT_ONCE: usize = 32;
/// How long one call marks conversations as read before it returns with `done: false`.
const MARK_TIMEOUT: Duration = Duration::from_secs(2);

/// The reply of `lua/inbox/list_conversations.lua`.
type InboxReply = (u64, u64, u64, String, Vec<String>, Vec<String>, Vec<String>);

/// One step of the search for conversations with unread messages.
pub struct UnreadStep {
    /// The peers, each with the newest message of the conversation.
    found: Vec<(Peer, Seq)>,
    /// The position of the next step; `None` at the end.
    next: Option<String>,
}

/// The cursor after the conversations of a page. `cursor` is the one after all rows of the page, which has
/// fewer conversations if messages are large.
fn next_cursor(
    conversations: &[ConversationState],
    scores: &[String],
    cursor: &str,
) -> Option<InboxCursor> {
    match conversations.last() {
        Some(last) if conversations.len() < scores.len() => {
            let score = &scores[conversations.len() - 1];
            Some(InboxCursor::at(score, &last.peer))
        }
        _ => InboxCursor::from_script(cursor),
    }
}

/// The age of a version, in microseconds.
fn age_us(version: u64) -> i64 {
    Utc::now()
        .timestamp_micros()
        .saturating_sub_unsigned(version)
}

impl Store {
    /// A page of a user's inbox: pinned conversations, then the others, each ordered by the newest
    /// message.
    pub async fn list_conversations(
        &self,
        user: &UserId,
        query: &InboxQuery,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<Inbox>, Error> {
        let keys = [
            self.keys.inbox(user.as_str()),
            self.keys.conversations(user.as_str()),
        ];
        let limit = query.limit().to_string();
        let (score, after) = query.cursor.as_ref().map_or(("", ""), InboxCursor::parts);
        let flag = |on| if on { "1" } else { "0" };
        let unread_only = flag(query.unread_only);
        let archived = query.archived.map_or("", flag);
        let args = [&limit, score, after, unread_only, archived, SCAN_LIMIT].map(str::as_bytes);
        let reply = self
            .run_charged::<InboxReply>(&LIST_CONVERSATIONS, charge, &keys, &args)
            .await?;
        let RateLimited { value, quota } = reply;
        let (total, unread_conversations, muted, cursor, peers, rows, scores) = value;
        let conversations = self.read_states(user, peers, &rows).await?;
        let next_cursor = next_cursor(&conversations, &scores, &cursor);
        Ok(RateLimited {
            value: Inbox {
                conversations,
                totals: UnreadTotals {
                    total_unread_count: total,
                    unread_conversations,
                    muted_unread_count: muted,
                },
                next_cursor,
            },
            quota,
        })
    }

    /// The states of the conversations of a page: the rows, with the last messages and the metadata. Omits
    /// the last conversations if messages are large.
    async fn read_states(
        &self,
        user: &UserId,
        peers: Vec<String>,
        rows: &[String],
    ) -> Result<Vec<ConversationState>, Error> {
        let peers = peers.into_iter().map(reply::peer);
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        let rows = rows.iter().map(|row| InboxRow::parse(row));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let with_metadata = peers.iter().zip(&rows);
        let with_metadata: Vec<_> = with_metadata
            .filter(|(_, row)| row.entry.flags.has_metadata())
            .map(|(peer, _)| peer)
            .collect();
        let (last, metadata, rooms) = try_join3(
            self.read_last_messages(user, &peers, &rows),
            self.read_metadata(user, &with_metadata),
            self.list_rooms(user, &peers, &rows),
        )
        .await?;
        let (mut metadata, mut rooms) = (metadata.into_iter(), rooms.into_iter());
        let rows = rows.into_iter().zip(peers).zip(last);
        rows.map(|((row, peer), last)| {
            let has_metadata = row.entry.flags.has_metadata();
            let metadata = has_metadata.then(|| metadata.next()).flatten();
            let room = peer.room().and_then(|_| rooms.next());
            let last = if row.shows_nothing {
                String::new()
            } else {
                last
            };
            let state = row
                .entry
                .into_state(peer, last, &metadata.unwrap_or_default())?;
            Ok(ConversationState { room, ..state })
        })
        .collect()
    }

    /// What an inbox shows of the rooms among the peers. On a cluster, a row that differs from its room, because a
    /// failover lost the last changes of one of the two, or because it missed an event, is repaired in the background.
    async fn list_rooms(
        &self,
        user: &UserId,
        peers: &[Peer],
        rows: &[InboxRow],
    ) -> Result<Vec<RoomSummary>, Error> {
        let of_rooms = peers.iter().zip(rows);
        let of_rooms = of_rooms.filter_map(|(peer, row)| Some((peer.room()?, row)));
        let of_rooms: Vec<_> = of_rooms.collect();
        let names: Vec<_> = of_rooms.iter().map(|(room, _)| *room).collect();
        let listed = self.read_room_summaries(&names).await?;
        for ((room, row), listed) in of_rooms.iter().zip(&listed) {
            let entry = || OutboxEntry::Member((*room).clone(), user.clone());
            if row.version > listed.version {
                self.outbox.report(entry(), Divergence::Ahead);
            } else if row.filed < Some(listed.filed) && age_us(listed.filed) > BEHIND_US {
                self.outbox.report(entry(), Divergence::Behind);
            }
        }
        Ok(listed.into_iter().map(|room| room.summary).collect())
    }

    /// The current newest message of each conversation, or of the first ones if the messages are large. Rows do
    /// not contain it, because every message writes the rows of both users.
    pub async fn read_last_messages(
        &self,
        user: &UserId,
        peers: &[Peer],
        rows: &[InboxRow],
    ) -> Result<Vec<String>, Error> {
        if peers.is_empty() {
            return Ok(Vec::new());
        }
        if self.two_steps {
            return Box::pin(self.read_last_messages_singly(user, peers, rows)).await;
        }
        let keys = peers.iter().map(|peer| self.keys.messages_with(user, peer));
        let keys: Vec<_> = keys.collect();
        let seqs = rows.iter().map(|row| row.entry.last_seq.get().to_string());
        let seqs: Vec<_> = seqs.collect();
        let args: Vec<_> = seqs.iter().map(String::as_bytes).collect();
        self.run(&READ_LAST_MESSAGES, &keys, &args).await
    }

    /// Like [`Store::read_last_messages`], with a call for each conversation, because they can be on different nodes
    /// of a cluster.
    async fn read_last_messages_singly(
        &self,
        user: &UserId,
        peers: &[Peer],
        rows: &[InboxRow],
    ) -> Result<Vec<String>, Error> {
        let calls = peers
            .iter()
            .zip(rows)
            .map(|(peer, row)| self.read_last_message(user, peer, row));
        let mut calls = stream::iter(calls).buffered(READ_AT_ONCE);
        let (mut found, mut bytes) = (Vec::with_capacity(rows.len()), 0);
        while let Some(message) = calls.try_next().await? {
            bytes += message.len();
            if bytes > LAST_MESSAGES_BYTES && !found.is_empty() {
                break;
            }
            found.push(message);
        }
        Ok(found)
    }

    /// The current newest message of a conversation. If the row of a pair differs from the conversation, because a
    /// failover lost the last changes of one of the two, it is repaired in the background.
    pub async fn read_last_message(
        &self,
        user: &UserId,
        peer: &Peer,
        row: &InboxRow,
    ) -> Result<String, Error> {
        let keys = [
            self.keys.messages_with(user, peer),
            self.keys.meta_with(user, peer),
        ];
        let seq = row.entry.last_seq.get().to_string();
        let args = [seq.as_bytes()];
        let (message, version): (String, u64) = self.run(&READ_LAST_MESSAGE, &keys, &args).await?;
        let Peer::User(peer) = peer else {
            return Ok(message);
        };
        let entry = || OutboxEntry::Pair(user.clone(), peer.clone());
        if row.version > version {
            self.outbox.report(entry(), Divergence::Ahead);
        } else if row.version < version && age_us(version) > BEHIND_US {
            self.outbox.report(entry(), Divergence::Behind);
        }
        Ok(message)
    }

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
