//! Inboxes, stored in Redis.

use super::script::{COUNT_UNREAD, LIST_CONVERSATIONS, READ_LAST_MESSAGES};
use super::{RateLimited, Store, reply};
use crate::error::Error;
use crate::model::{Inbox, InboxCursor, InboxEntry, InboxQuery, Pair, Seq, UnreadTotals, UserId};
use crate::rate::RateLimitRequest;

/// Maximum number of conversations that one call searches for unread ones. A page may therefore have
/// less than `limit` conversations and still have a next page.
const SCAN_LIMIT: &str = "2000";

/// The reply of `lua/inbox/list_conversations.lua`.
type InboxReply = (u64, u64, u64, String, Vec<String>, Vec<String>);

impl Store {
    /// A page of a user's inbox, ordered by the newest message.
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
        let unread_only = if query.unread_only { "1" } else { "0" };
        let args = [limit.as_str(), score, after, unread_only, SCAN_LIMIT].map(str::as_bytes);
        let reply = self
            .run_charged::<InboxReply>(&LIST_CONVERSATIONS, charge, &keys, &args)
            .await?;
        let (.., peers, rows) = &reply.value;
        let peers = peers.iter().cloned().map(reply::peer);
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        let rows = rows.iter().map(|row| InboxEntry::parse_row(row));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let seqs: Vec<_> = rows.iter().map(|row| row.last_seq).collect();
        let last = self.read_last_messages(user, &peers, &seqs).await?;
        reply.try_map(|(total, unread_conversations, muted, cursor, ..)| {
            let totals = UnreadTotals {
                total_unread_count: total,
                unread_conversations,
                muted_unread_count: muted,
            };
            let rows = rows.into_iter().zip(peers).zip(last);
            let states = rows.map(|((row, peer), last)| row.into_state(peer, last));
            Ok(Inbox {
                conversations: states.collect(),
                totals,
                next_cursor: InboxCursor::from_script(&cursor),
            })
        })
    }

    /// The current newest message of each conversation. Rows do not contain it, because every message
    /// writes the rows of both users.
    pub async fn read_last_messages(
        &self,
        user: &UserId,
        peers: &[UserId],
        seqs: &[Seq],
    ) -> Result<Vec<String>, Error> {
        if peers.is_empty() {
            return Ok(Vec::new());
        }
        let pairs = peers.iter().map(|peer| Pair::of(user, peer));
        let keys: Vec<_> = pairs.map(|pair| self.keys.messages(&pair)).collect();
        let seqs: Vec<_> = seqs.iter().map(|seq| seq.get().to_string()).collect();
        let args: Vec<_> = seqs.iter().map(String::as_bytes).collect();
        self.run(&READ_LAST_MESSAGES, &keys, &args).await
    }

    /// The unread totals of a user: one lookup, whatever the size of the inbox.
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
}
