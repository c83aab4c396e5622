//! What was shown of a conversation: each message once, in the order of `seq`, without gaps.

use std::collections::BTreeMap;

use super::frame::{Message, Page};

/// How many messages are remembered, to say what became of them.
const REMEMBERED: usize = 1_000;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A message.
    Message(Message),
    /// The author changed the text of a message.
    Edited(Message),
    /// The author deleted a message, which was this.
    Deleted(Message),
    /// The reactions to a message are others now.
    Reacted(Message),
    /// So many messages are not shown.
    Omitted(usize),
}

/// What was shown, and what waits for what comes before it.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Up to where it was shown; nowhere before the first page.
    upto: Option<u64>,
    waiting: BTreeMap<u64, Message>,
    shown: BTreeMap<u64, Message>,
}

impl Transcript {
    /// Up to where messages were shown, once the first page was.
    pub fn upto(&self) -> Option<u64> {
        self.upto
    }

    /// Whether something waits for messages that have not come.
    pub fn has_gap(&self) -> bool {
        self.upto.is_some() && !self.waiting.is_empty()
    }

    /// Whether all that was heard is shown.
    pub fn is_whole(&self) -> bool {
        self.upto.is_some() && self.waiting.is_empty()
    }

    /// The newest message that was shown of those this holds for.
    pub fn newest(&self, holds: impl Fn(&Message) -> bool) -> Option<u64> {
        let newest = self.shown.values().rev().find(|message| holds(message));
        newest.map(|message| message.seq)
    }

    /// A message as it is now: a new one, or one that changed.
    pub fn hear(&mut self, message: Message) -> Vec<Line> {
        if self.upto.is_some_and(|upto| message.seq <= upto) {
            return self.changed(message).into_iter().collect();
        }
        self.waiting.insert(message.seq, message);
        let mut lines = Vec::new();
        while let Some(message) = self.upto.and_then(|upto| self.waiting.remove(&(upto + 1))) {
            lines.push(self.show(message));
        }
        lines
    }

    /// The first page: the newest messages, and all that are unread.
    pub fn open(&mut self, page: Page) -> Vec<Line> {
        let listed = page.unread.len();
        let messages = page.history.into_iter().chain(page.unread);
        let messages: BTreeMap<_, _> = messages.map(|message| (message.seq, message)).collect();
        let omitted = page.unread_count.saturating_sub(listed);
        let omitted = (omitted > 0).then_some(Line::Omitted(omitted));
        let mut lines: Vec<_> = omitted.into_iter().collect();
        lines.extend(messages.into_values().map(|message| self.show(message)));
        self.reach(page.last_seq);
        lines.extend(self.catch_up());
        lines
    }

    /// A page of what came after the last message that was shown; where it goes on, if it does.
    pub fn fill(&mut self, page: Page) -> (Vec<Line>, Option<u64>) {
        // The store lost its last messages, and gives their numbers to others.
        if self.upto.is_some_and(|upto| upto > page.last_seq) {
            self.upto = Some(page.last_seq);
            self.waiting.clear();
            self.shown.retain(|seq, _| *seq <= page.last_seq);
        }
        let mut lines = Vec::new();
        for message in page.history.into_iter().rev() {
            if Some(message.seq) > self.upto {
                lines.push(self.show(message));
            }
        }
        if page.next_after.is_none() {
            self.reach(page.last_seq);
            lines.extend(self.catch_up());
        }
        (lines, page.next_after)
    }

    /// Nothing up to here is missing any more: what was not on the page is no longer there.
    fn reach(&mut self, seq: u64) {
        self.upto = self.upto.max(Some(seq));
        let upto = self.upto.unwrap_or_default();
        self.waiting.retain(|seq, _| *seq > upto);
    }

    /// Shows what waited for what is there now.
    fn catch_up(&mut self) -> Vec<Line> {
        match self.waiting.pop_first() {
            Some((_, message)) => self.hear(message),
            None => Vec::new(),
        }
    }

    fn show(&mut self, message: Message) -> Line {
        self.upto = self.upto.max(Some(message.seq));
        self.remember(message.clone());
        Line::Message(message)
    }

    fn remember(&mut self, message: Message) {
        self.shown.insert(message.seq, message);
        while self.shown.len() > REMEMBERED {
            self.shown.pop_first();
        }
    }

    /// What became of a message that was shown; nothing, of one that is not remembered.
    fn changed(&mut self, message: Message) -> Option<Line> {
        let before = self.shown.get(&message.seq)?.clone();
        self.remember(message.clone());
        if message.deleted_at.is_some() {
            before.deleted_at.is_none().then_some(Line::Deleted(before))
        } else if message.body != before.body || message.attachments != before.attachments {
            Some(Line::Edited(message))
        } else if message.reactions != before.reactions {
            Some(Line::Reacted(message))
        } else {
            None
        }
    }
}
