//! Inboxes, stored in Redis.

use chrono::Utc;
use futures_util::future::try_join3;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::outbox::{Divergence, OutboxEntry};
use super::script::{LIST_CONVERSATIONS, READ_LAST_MESSAGE, READ_LAST_MESSAGES};
use super::{PAGE_SIZE, RateLimited, Store, flag, reply};
use crate::error::Error;
use crate::model::{
    ConversationState, Inbox, InboxCursor, InboxQuery, InboxRow, Peer, RoomSummary, UnreadTotals,
    UserId,
};
use crate::rate::RateLimitRequest;

/// Maximum number of conversations that one call searches for those that a query wants. A page may
/// therefore have less than `limit` conversations and still have a next page.
const SCAN_LIMIT: &str = "1000";
/// Number of conversations whose newest message is read at the same time on a cluster.
const READ_AT_ONCE: usize = 32;
/// How long the update of a row may take before it counts as lost, in microseconds.
const BEHIND_US: i64 = 3_000_000;
/// The reply of `lua/inbox/list_conversations.lua`.
type InboxReply = (u64, u64, u64, String, Vec<String>, Vec<String>, Vec<String>);

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
            if bytes > PAGE_SIZE && !found.is_empty() {
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
}
