//! Conversations in Redis.

use super::script::READ_CONVERSATION;
use super::{Charged, Store};
use crate::error::{Code, Error};
use crate::model::{Conversation, PageQuery, Pair, Range, Seq, StoredMessage, UserId};
use crate::rate::Charge;

/// Unread messages that one read returns, at most. The count is exact beyond it.
const UNREAD_LIMIT: &str = "500";
/// Messages that one read searches for unread ones, at most: a few milliseconds of Redis. Matters
/// only to a reader who sent thousands of messages without ever reading.
const SCAN_LIMIT: &str = "10000";

/// The reply of `lua/read_conversation.lua`.
type Reply = (Vec<String>, u64, Vec<String>, u64, u64, u64, u64);

impl Store {
    /// Reads a page of the conversation of `user` with `peer`, and what `user` has not read; marks
    /// all of it as read unless it only peeks.
    pub async fn read_conversation(
        &self,
        user: UserId,
        peer: UserId,
        query: &PageQuery,
        charge: Option<&Charge>,
    ) -> Result<Charged<Conversation>, Error> {
        let pair = Pair::of(&user, &peer);
        let keys = [
            self.keys.messages(&pair),
            self.keys.unread(&pair),
            self.keys.meta(&pair),
        ];
        let limit = query.limit().to_string();
        let (before, after) = match query.range()? {
            Range::Newest => (String::new(), String::new()),
            Range::Before(seq) => (seq.get().to_string(), String::new()),
            Range::After(seq) => (String::new(), seq.get().to_string()),
        };
        let peek = if query.peek { "1" } else { "0" };
        let args = [
            user.as_str(),
            peer.as_str(),
            &limit,
            &before,
            &after,
            peek,
            UNREAD_LIMIT,
            SCAN_LIMIT,
        ]
        .map(str::as_bytes);
        let reply = self
            .run_charged::<Reply>(&READ_CONVERSATION, charge, &keys, &args)
            .await;
        let reply = reply.map_err(|e| if query.peek { e.of_reading() } else { e });
        reply?.try_map(
            |(history, unread_count, unread, last, read, next_before, next_after)| {
                Ok(Conversation {
                    user,
                    peer,
                    history: history.into_iter().map(StoredMessage).collect(),
                    unread_count,
                    unread: unread.into_iter().map(StoredMessage).collect(),
                    last_seq: seq(last)?,
                    peer_read_seq: seq(read)?,
                    next_before: cursor(next_before)?,
                    next_after: cursor(next_after)?,
                })
            },
        )
    }
}

fn seq(number: u64) -> Result<Seq, Error> {
    Seq::try_from(number).map_err(|why| Error::new(Code::Internal, why))
}

/// A cursor of a script, where 0 says that there is none.
fn cursor(number: u64) -> Result<Option<Seq>, Error> {
    if number == 0 {
        Ok(None)
    } else {
        seq(number).map(Some)
    }
}
