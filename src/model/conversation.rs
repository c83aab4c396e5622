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
    /// This message and half a page on each side of it. Not together with the other two.
    around: Option<Seq>,
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
    /// This one, and as many on each side.
    Around(Seq),
}

impl PageQuery {
    /// The same page, read without marking anything as read.
    #[must_use]
    pub fn peeking(self) -> Self {
        Self { peek: true, ..self }
    }

    /// Where the page is cut from; refuses two answers to that.
    pub fn range(&self) -> Result<Range, Error> {
        let refused = |pointer| {
            let why = "only one of `before`, `after` and `around` can be given";
            Err(Error::field(Code::InvalidRequest, pointer, why))
        };
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Range::Newest),
            (Some(seq), None, None) => Ok(Range::Before(seq)),
            (None, Some(seq), None) => Ok(Range::After(seq)),
            (None, None, Some(seq)) => Ok(Range::Around(seq)),
            (_, Some(_), _) => refused("/query/after"),
            (_, None, Some(_)) => refused("/query/around"),
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

impl Limit {
    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

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
    /// Those messages, newest first, at most 500 and none further back than 4,000 messages; what
    /// is older is found with `before`.
    #[schema(value_type = Vec<Message>, max_items = 500)]
    pub unread: Vec<StoredMessage>,
    /// The seq of the newest message; 0 if there is none.
    pub last_seq: Seq,
    /// Up to where the reader had read.
    pub read_seq: Seq,
    /// Up to where the peer has read; 0 if nowhere.
    pub peer_read_seq: Seq,
    /// Up to where the peer's devices have received.
    pub peer_delivered_seq: Seq,
    /// Whether the reader muted the conversation.
    pub muted: bool,
    /// Whether the reader blocked the peer.
    pub blocked: bool,
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
            muted,
            blocked,
            ..
        } = self;
        let messages = self.history.iter().chain(&self.unread);
        let mut json = String::with_capacity(256 + messages.map(|m| m.0.len() + 1).sum::<usize>());
        // User ids need no escaping (see UserId), and a String takes every write.
        let _ = write!(json, r#"{{"user":"{user}","peer":"{peer}","history":"#);
        push_array(&mut json, self.history.iter().map(text));
        let _ = write!(json, r#","unread_count":{unread_count},"unread":"#);
        push_array(&mut json, self.unread.iter().map(text));
        let seqs = [
            self.last_seq,
            self.read_seq,
            self.peer_read_seq,
            self.peer_delivered_seq,
        ];
        let [last, read, peer_read, delivered] = seqs.map(Seq::get);
        let _ = write!(
            json,
            r#","last_seq":{last},"read_seq":{read},"peer_read_seq":{peer_read},"peer_delivered_seq":{delivered},"muted":{muted},"blocked":{blocked},"next_before":"#
        );
        push_cursor(&mut json, self.next_before);
        json.push_str(r#","next_after":"#);
        push_cursor(&mut json, self.next_after);
        json.push('}');
        json
    }
}

/// A flag that a user puts on a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// The peer's messages are refused.
    Blocked,
    /// The user does not want to be alerted. Nothing else changes; counts go on.
    Muted,
}

impl Flag {
    /// The word for it in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Flag::Blocked => "blocked",
            Flag::Muted => "muted",
        }
    }
}

fn text(message: &StoredMessage) -> &str {
    &message.0
}

/// Writes JSON texts as an array.
pub(super) fn push_array<'a>(json: &mut String, items: impl Iterator<Item = &'a str>) {
    json.push('[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            json.push(',');
        }
        json.push_str(item);
    }
    json.push(']');
}

fn push_cursor(json: &mut String, cursor: Option<Seq>) {
    let _ = match cursor {
        Some(seq) => write!(json, "{}", seq.get()),
        None => write!(json, "null"),
    };
}
