//! A conversation as one of its two users reads it.

use std::fmt::Write;

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Message, Seq, StoredMessage, UserId};
use crate::error::{Code, Error};

/// How much of a conversation to read, and whether reading counts: the query of
/// `GET /conversations/{user}/{peer}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many messages of history to answer, at most.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Only messages older than this seq: the `next_before` of the page before. Not together with
    /// `after`.
    before: Option<Seq>,
    /// Only messages newer than this seq, the oldest of them first in line: the `next_after` of
    /// the page before. Not together with `before`.
    after: Option<Seq>,
    /// `true` reads without marking anything as read.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    pub peek: bool,
}

/// The messages of a conversation that a page is cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest.
    Newest,
    /// The newest of those older than this.
    Before(Seq),
    /// The oldest of those newer than this.
    After(Seq),
}

impl PageQuery {
    /// Where the page is cut from; refuses two answers to that.
    pub fn range(&self) -> Result<Range, Error> {
        match (self.before, self.after) {
            (None, None) => Ok(Range::Newest),
            (Some(seq), None) => Ok(Range::Before(seq)),
            (None, Some(seq)) => Ok(Range::After(seq)),
            (Some(_), Some(_)) => Err(Error::field(
                Code::InvalidRequest,
                "/query/after",
                "`before` and `after` do not go together",
            )),
        }
    }

    /// How many messages of history, at most.
    pub fn limit(&self) -> u8 {
        self.limit.0
    }
}

/// How many items a page holds at most: 1 to 200, 50 unless said.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit(u8);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u64> for Limit {
    type Error = &'static str;

    fn try_from(limit: u64) -> Result<Self, Self::Error> {
        match u8::try_from(limit) {
            Ok(limit @ 1..=200) => Ok(Self(limit)),
            _ => Err("a limit is 1 to 200"),
        }
    }
}

/// A page of a conversation, and what its reader had not read.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct Conversation {
    /// The reader.
    pub user: UserId,
    /// The other one.
    pub peer: UserId,
    /// The page that was asked for, newest first.
    #[schema(value_type = Vec<Message>)]
    pub history: Vec<StoredMessage>,
    /// How many messages of the peer the reader had not read. Exact, however many.
    pub unread_count: u64,
    /// Those messages, newest first, at most 500 and none further back than 10,000 messages; what
    /// is older is found with `before`.
    #[schema(value_type = Vec<Message>, max_items = 500)]
    pub unread: Vec<StoredMessage>,
    /// The seq of the newest message; 0 if there is none.
    pub last_seq: Seq,
    /// Up to where the peer has read; 0 if nowhere.
    pub peer_read_seq: Seq,
    /// What to pass as `before` for the next older page; null if there is none.
    #[schema(required = true)]
    pub next_before: Option<Seq>,
    /// What to pass as `after` for the next newer page; null if there is none.
    #[schema(required = true)]
    pub next_after: Option<Seq>,
}

impl Conversation {
    /// The JSON of it. Written here and not by serde, because the messages are JSON already:
    /// splicing them costs a copy, encoding them again would cost a parse of every page.
    pub fn to_json(&self) -> String {
        let Self {
            user,
            peer,
            unread_count,
            last_seq,
            peer_read_seq,
            ..
        } = self;
        let messages = self.history.iter().chain(&self.unread);
        let mut json = String::with_capacity(256 + messages.map(|m| m.0.len() + 1).sum::<usize>());
        // User ids need no escaping (see UserId), and a String takes every write.
        let _ = write!(json, r#"{{"user":"{user}","peer":"{peer}","history":"#);
        push_array(&mut json, &self.history);
        let _ = write!(json, r#","unread_count":{unread_count},"unread":"#);
        push_array(&mut json, &self.unread);
        let (last, read) = (last_seq.get(), peer_read_seq.get());
        let _ = write!(
            json,
            r#","last_seq":{last},"peer_read_seq":{read},"next_before":"#
        );
        push_cursor(&mut json, self.next_before);
        json.push_str(r#","next_after":"#);
        push_cursor(&mut json, self.next_after);
        json.push('}');
        json
    }
}

fn push_array(json: &mut String, messages: &[StoredMessage]) {
    json.push('[');
    for (i, StoredMessage(message)) in messages.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        json.push_str(message);
    }
    json.push(']');
}

fn push_cursor(json: &mut String, cursor: Option<Seq>) {
    let _ = match cursor {
        Some(seq) => write!(json, "{}", seq.get()),
        None => write!(json, "null"),
    };
}
