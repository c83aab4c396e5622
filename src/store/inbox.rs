//! Inboxes in Redis.

use super::script::{COUNT_UNREAD, LIST_CONVERSATIONS};
use super::{Charged, Store, reply};
use crate::error::{Code, Error};
use crate::model::{Inbox, InboxCursor, InboxQuery, Row, UnreadTotals, UserId};
use crate::rate::Charge;

/// Conversations that one call looks at, at most, for those with unread messages. A page may so be
/// short of its limit and yet have a next one.
const SCAN_LIMIT: &str = "2000";

/// The reply of `lua/list_conversations.lua`.
type Reply = (u64, u64, String, Vec<String>, Vec<String>);

impl Store {
    /// A page of a user's inbox, latest message first.
    pub async fn list_conversations(
        &self,
        user: &UserId,
        query: &InboxQuery,
        charge: Option<&Charge>,
    ) -> Result<Charged<Inbox>, Error> {
        let keys = [
            self.keys.inbox(user.as_str()),
            self.keys.conversations(user.as_str()),
        ];
        let limit = query.limit().to_string();
        let (score, after) = query.cursor.as_ref().map_or(("", ""), InboxCursor::parts);
        let unread_only = if query.unread_only { "1" } else { "0" };
        let args = [limit.as_str(), score, after, unread_only, SCAN_LIMIT].map(str::as_bytes);
        let reply = self
            .run_charged::<Reply>(&LIST_CONVERSATIONS, charge, &keys, &args)
            .await?;
        reply.try_map(|(total, unread_conversations, cursor, pairs, rows)| {
            let totals = UnreadTotals {
                total_unread_count: total,
                unread_conversations,
            };
            let rows = pairs.iter().zip(&rows);
            let states =
                rows.map(|(pair, row)| Ok(Row::parse(row)?.into_state(reply::peer(pair, user)?)));
            let cursor = (!cursor.is_empty()).then_some(cursor);
            let next_cursor = cursor.map(InboxCursor::try_from).transpose();
            Ok(Inbox {
                conversations: states.collect::<Result<_, Error>>()?,
                totals,
                next_cursor: next_cursor.map_err(|why| Error::new(Code::Internal, why))?,
            })
        })
    }

    /// How much a user has not read, over all conversations. One lookup, whatever the inbox.
    pub async fn count_unread(
        &self,
        user: &UserId,
        charge: Option<&Charge>,
    ) -> Result<Charged<UnreadTotals>, Error> {
        let keys = [self.keys.conversations(user.as_str())];
        let reply = self
            .run_charged::<(u64, u64)>(&COUNT_UNREAD, charge, &keys, &[])
            .await?;
        reply.try_map(|(total_unread_count, unread_conversations)| {
            Ok(UnreadTotals {
                total_unread_count,
                unread_conversations,
            })
        })
    }
}
