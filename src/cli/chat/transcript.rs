//! The displayed part of a conversation: each message once, in the order of `seq`, without gaps.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Message, Seq, UserId};

/// Number of displayed messages that are kept, to describe later changes to them.
const RETAINED_MESSAGES: usize = 1_000;

/// A line to display.
#[derive(Clone, Debug)]
pub enum TranscriptLine {
    Message(Message),
    /// The message with its new text.
    Edited(Message),
    /// The message as it was before.
    Deleted(Message),
    /// The message with its new reactions.
    Reacted(Message),
    /// A user joined the room.
    Joined(UserId),
    /// A user left the room.
    Left(UserId),
    /// This many unread messages are too old to be displayed.
    Omitted(usize),
}

/// The members of the answer to `GET /conversations/{user}/{peer}` that the chat uses.
#[derive(Clone, Debug, Deserialize)]
pub struct HistoryPage {
    /// Newest first.
    pub history: Vec<Message>,
    /// Newest first; at most the newest 500.
    pub unread: Vec<Message>,
    pub unread_count: usize,
    /// `seq` of the newest message.
    pub last_seq: Seq,
    pub peer_read_seq: Seq,
    /// The message after which the next page starts; `None` on the last page.
    pub next_after: Option<Seq>,
}

/// Puts messages in order and holds back those that come before a missing one.
#[derive(Debug, Default)]
pub struct Transcript {
    /// `seq` up to which all messages are displayed; `None` before the first page.
    last_seq: Option<Seq>,
    /// Received ahead of a message that is missing.
    held_back: BTreeMap<Seq, Message>,
    displayed: BTreeMap<Seq, Message>,
}

impl Transcript {
    pub fn last_seq(&self) -> Option<Seq> {
        self.last_seq
    }

    /// Whether a missing message holds others back.
    pub fn has_gap(&self) -> bool {
        self.last_seq.is_some() && !self.held_back.is_empty()
    }

    /// Whether everything received is displayed.
    pub fn is_complete(&self) -> bool {
        self.last_seq.is_some() && self.held_back.is_empty()
    }

    /// `seq` of the newest displayed message of a user.
    pub fn newest_from(&self, user: &UserId) -> Option<Seq> {
        self.newest(|author| author == user)
    }

    /// `seq` of the newest displayed message that is not of this user.
    pub fn newest_for(&self, user: &UserId) -> Option<Seq> {
        self.newest(|author| author != user)
    }

    fn newest(&self, is_wanted: impl Fn(&UserId) -> bool) -> Option<Seq> {
        let mut newest_first = self.displayed.values().rev();
        let newest = newest_first.find(|message| is_wanted(&message.from));
        newest.map(|message| message.seq)
    }

    /// Adds a new message or a new version of one; returns the lines to display.
    pub fn add(&mut self, message: Message) -> Vec<TranscriptLine> {
        if self.last_seq.is_some_and(|last| message.seq <= last) {
            return self.update(message).into_iter().collect();
        }
        self.held_back.insert(message.seq, message);
        self.display_in_order()
    }

    /// Adds the first page: the newest messages and the unread ones.
    pub fn open(&mut self, page: HistoryPage) -> Vec<TranscriptLine> {
        let omitted = page.unread_count.saturating_sub(page.unread.len());
        let messages = page.history.into_iter().chain(page.unread);
        let messages: BTreeMap<_, _> = messages.map(|message| (message.seq, message)).collect();
        let mut lines = Vec::new();
        if omitted > 0 {
            lines.push(TranscriptLine::Omitted(omitted));
        }
        lines.extend(messages.into_values().map(|message| self.display(message)));
        lines.extend(self.complete_up_to(page.last_seq));
        lines
    }

    /// Adds the page that was requested `after` a `seq`; returns the lines to display, and after
    /// which `seq` the next page starts, if there is one.
    pub fn fill(
        &mut self,
        page: HistoryPage,
        after: Option<Seq>,
    ) -> (Vec<TranscriptLine>, Option<Seq>) {
        // The store lost its last messages, for example in a failover, and reuses their numbers.
        // Messages that were displayed since the request do not count: the page may be older.
        if after > Some(page.last_seq) {
            self.last_seq = Some(page.last_seq);
            self.held_back.clear();
            self.displayed.retain(|seq, _| *seq <= page.last_seq);
        }
        let mut lines = Vec::new();
        for message in page.history.into_iter().rev() {
            if Some(message.seq) > self.last_seq {
                lines.push(self.display(message));
            }
        }
        if page.next_after.is_none() {
            lines.extend(self.complete_up_to(page.last_seq));
        }
        (lines, page.next_after)
    }

    /// Marks everything up to `seq` as displayed, since messages that the pages lack no longer
    /// exist; returns the lines that were held back for them.
    fn complete_up_to(&mut self, seq: Seq) -> Vec<TranscriptLine> {
        let last = self.last_seq.max(Some(seq)).unwrap_or_default();
        self.last_seq = Some(last);
        self.held_back.retain(|seq, _| *seq > last);
        self.display_in_order()
    }

    /// Displays the messages that are no longer held back by a missing one.
    fn display_in_order(&mut self) -> Vec<TranscriptLine> {
        let mut lines = Vec::new();
        while let Some(message) = self.next_in_order() {
            lines.push(self.display(message));
        }
        lines
    }

    fn next_in_order(&mut self) -> Option<Message> {
        let next = Seq::try_from(self.last_seq?.get() + 1).ok()?;
        self.held_back.remove(&next)
    }

    fn display(&mut self, message: Message) -> TranscriptLine {
        self.last_seq = self.last_seq.max(Some(message.seq));
        self.retain(message.clone());
        TranscriptLine::Message(message)
    }

    fn retain(&mut self, message: Message) {
        self.displayed.insert(message.seq, message);
        while self.displayed.len() > RETAINED_MESSAGES {
            self.displayed.pop_first();
        }
    }

    /// Replaces a displayed message; returns a line if something visible changed. A message that
    /// is no longer retained is ignored.
    fn update(&mut self, message: Message) -> Option<TranscriptLine> {
        let before = self.displayed.get(&message.seq)?.clone();
        self.retain(message.clone());
        if message.deleted_at.is_some() {
            before
                .deleted_at
                .is_none()
                .then_some(TranscriptLine::Deleted(before))
        } else if message.body != before.body || message.attachments != before.attachments {
            Some(TranscriptLine::Edited(message))
        } else if message.reactions != before.reactions {
            Some(TranscriptLine::Reacted(message))
        } else {
            None
        }
    }
}
