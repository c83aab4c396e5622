//! One end of a conversation as a state machine: what happens goes in, what is to be done comes
//! out. It knows no socket, no terminal and no clock; seconds are told to it.

use super::ChatError;
use super::event::{ClientEvent, Effect, Status};
use super::frame::{Frame, Page, Problem, Receipts};
use super::link::ConnectionState;
use super::outbox::{Outbox, READ, Reading};
use super::pending_request::PendingRequest;
use super::render;
use super::render::DeliveryStatus;
use super::transcript::{Line, Transcript};

/// For how many seconds the next of the lines that were typed is waited for at the end.
const FAREWELL: u32 = 5;
/// For how many seconds the peer is taken to be typing.
const TYPING: u32 = 5;
/// The close code for a token that expired.
const TOKEN_EXPIRED: u16 = 4401;

/// One end of a conversation.
#[derive(Debug, Default)]
pub struct Session {
    me: String,
    peer: String,
    cursor: Option<String>,
    link: ConnectionState,
    transcript: Transcript,
    /// Whether there is more to read than was read.
    behind: bool,
    outbox: Outbox,
    reading: Reading,
    receipts: Receipts,
    /// Seconds for which the peer is still taken to be typing.
    typing: u32,
    /// Lines that the service did not take.
    refused: usize,
    /// Seconds that are left, once nothing more will be typed.
    farewell: Option<u32>,
    status: Status,
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(me: &str, peer: &str) -> Self {
        Self {
            me: me.to_owned(),
            peer: peer.to_owned(),
            ..Self::default()
        }
    }

    /// What is to be done first.
    pub fn begin(&self) -> Vec<Effect> {
        vec![self.connect()]
    }

    /// What is to be done because of something that happened.
    pub fn take(&mut self, happened: ClientEvent) -> Vec<Effect> {
        let mut acts = match happened {
            ClientEvent::Typed(line) => self.typed(&line),
            ClientEvent::Finished if self.farewell.is_some() => self.part(),
            ClientEvent::Finished => {
                self.farewell = Some(FAREWELL);
                Vec::new()
            }
            ClientEvent::Said(frame) => self.said(*frame),
            ClientEvent::Sign => {
                self.link.heard();
                Vec::new()
            }
            ClientEvent::Page(page) => self.page(page),
            ClientEvent::Lost(code, why) => self.lost(code, why),
            ClientEvent::Refused(problem) => self.turned_away(problem),
            ClientEvent::Second => self.second(),
        };
        acts.extend(self.proceed());
        acts
    }

    /// What can be done now, whatever happened.
    fn proceed(&mut self) -> Vec<Effect> {
        let mut acts = Vec::new();
        if self.link.is_up() {
            let frames = self.outbox.next(&self.peer).into_iter();
            let frames = frames.chain(self.reading.next(&self.peer));
            acts.extend(frames.map(Effect::Say));
        }
        let status = self.status();
        if status != self.status {
            self.status = status;
            acts.push(Effect::Status(status));
        }
        let told = self.outbox.is_empty() && self.reading.is_known();
        if self.farewell.is_some() && told && !self.behind && self.transcript.is_whole() {
            acts.extend(self.part());
        }
        acts
    }

    fn status(&self) -> Status {
        let mine = self.transcript.newest(|message| message.from == self.me);
        let tick = mine.map(|seq| (seq, DeliveryStatus::of(seq, self.receipts)));
        Status {
            online: self.link.is_up(),
            waiting: self.outbox.stuck(self.link.is_up()),
            tick,
            typing: self.typing > 0,
        }
    }

    fn typed(&mut self, line: &str) -> Vec<Effect> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        let pushed = self.outbox.push(line);
        pushed.map_or_else(|why| self.unsent(line, why), |()| Vec::new())
    }

    fn unsent(&mut self, line: &str, why: &str) -> Vec<Effect> {
        self.refused += 1;
        vec![Effect::Note(format!(
            "not sent: {}: {why}",
            render::quoted(line)
        ))]
    }

    fn said(&mut self, frame: Frame) -> Vec<Effect> {
        self.link.heard();
        match &*frame.kind {
            "hello" => self.hello(frame),
            "ack" | "error" => self.answered(frame),
            _ => self.told(frame),
        }
    }

    fn hello(&mut self, frame: Frame) -> Vec<Effect> {
        self.cursor = frame.cursor;
        let mut acts = Vec::new();
        if self.link.opened(frame.heartbeat_s) {
            acts.push(Effect::Note("back".to_owned()));
        }
        if self.behind || self.transcript.upto().is_none() {
            acts.push(self.catch_up());
        }
        acts
    }

    /// Reads what was not shown.
    fn catch_up(&mut self) -> Effect {
        self.behind = true;
        Effect::Read(self.transcript.upto())
    }

    /// An answer to something that was said.
    fn answered(&mut self, frame: Frame) -> Vec<Effect> {
        let reference = frame.reference.unwrap_or_default();
        if let Some(receipts) = frame.conversation {
            self.receipts = receipts;
        }
        if let Some(problem) = frame.problem {
            return self.denied(&reference, &problem);
        }
        if reference == READ {
            self.reading.settle();
        } else if self.outbox.awaits(&reference) {
            self.outbox.settle();
            self.farewell = self.farewell.map(|_| FAREWELL);
        }
        let lines = frame.message.map(|message| self.transcript.hear(message));
        self.show(lines.unwrap_or_default())
    }

    /// A refusal of something that was said.
    fn denied(&mut self, reference: &str, problem: &Problem) -> Vec<Effect> {
        let of_line = self.outbox.awaits(reference);
        let turn = match reference {
            READ => &mut self.reading.turn,
            _ if of_line => &mut self.outbox.turn,
            _ => return Vec::new(),
        };
        if problem.is_retryable() {
            turn.pause();
            return Vec::new();
        }
        if !of_line {
            self.reading.settle();
            return Vec::new();
        }
        let line = self.outbox.settle().unwrap_or_default();
        self.unsent(&line, &problem.detail)
    }

    /// An event.
    fn told(&mut self, frame: Frame) -> Vec<Effect> {
        self.cursor = frame.cursor.or(self.cursor.take());
        if frame.kind == "reset" {
            return vec![self.catch_up()];
        }
        if frame.peer.as_deref() != Some(&*self.peer) {
            return Vec::new();
        }
        match &*frame.kind {
            "typing" => self.typing = TYPING,
            "presence.changed" => (),
            _ => self.receipts = frame.receipts,
        }
        let mut acts = Vec::new();
        if let Some(message) = frame.message {
            self.typing = 0;
            let lines = self.transcript.hear(message);
            acts = self.show(lines);
        }
        if frame.kind == "conversation.changed" || self.transcript.has_gap() {
            acts.push(self.catch_up());
        }
        acts
    }

    fn page(&mut self, page: Page) -> Vec<Effect> {
        self.receipts.peer_read_seq = self.receipts.peer_read_seq.max(page.peer_read_seq);
        self.behind = false;
        if self.transcript.upto().is_none() {
            let lines = self.transcript.open(page);
            // Also when there is nothing: the answer says how far the peer is.
            self.reading.shown(0);
            return self.show(lines);
        }
        let (lines, next) = self.transcript.fill(page);
        self.behind = next.is_some();
        let rest = next.map(|seq| Effect::Read(Some(seq)));
        self.show(lines).into_iter().chain(rest).collect()
    }

    fn show(&mut self, lines: Vec<Line>) -> Vec<Effect> {
        if lines.is_empty() {
            return Vec::new();
        }
        let theirs = self.transcript.newest(|message| message.from == self.peer);
        self.reading.shown(theirs.unwrap_or_default());
        vec![Effect::Show(lines)]
    }

    fn connect(&self) -> Effect {
        Effect::Connect {
            cursor: self.cursor.clone(),
            failures: self.link.failures(),
        }
    }

    fn lost(&mut self, code: Option<u16>, why: String) -> Vec<Effect> {
        if code == Some(TOKEN_EXPIRED) {
            return vec![Effect::End(Err(ChatError::Expired))];
        }
        if !self.link.is_known() {
            return vec![Effect::End(Err(ChatError::Unreachable(why)))];
        }
        self.typing = 0;
        // What was said may not have arrived.
        self.outbox.turn = PendingRequest::Ours;
        self.reading.turn = PendingRequest::Ours;
        let news = self
            .link
            .lost(code)
            .then(|| Effect::Note("reconnecting…".to_owned()));
        news.into_iter().chain([self.connect()]).collect()
    }

    fn turned_away(&mut self, problem: Problem) -> Vec<Effect> {
        if problem.is_retryable() && self.link.is_known() {
            return self.lost(None, problem.detail);
        }
        vec![Effect::End(Err(ChatError::Refused(problem)))]
    }

    fn second(&mut self) -> Vec<Effect> {
        self.typing = self.typing.saturating_sub(1);
        if let Some(left) = &mut self.farewell {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return self.part();
            }
        }
        let overdue = [&mut self.outbox.turn, &mut self.reading.turn].map(PendingRequest::second);
        if self.link.second() || overdue.contains(&true) {
            return self.lost(None, "no answer".to_owned());
        }
        Vec::new()
    }

    /// The end, with a word on what did not get through.
    fn part(&mut self) -> Vec<Effect> {
        let end = match self.outbox.len() + self.refused {
            0 => Ok(()),
            unsent => Err(ChatError::Unsent(unsent)),
        };
        let lines = std::iter::from_fn(|| self.outbox.settle());
        let notes = lines.map(|line| Effect::Note(format!("not sent: {}", render::quoted(&line))));
        notes.chain([Effect::End(end)]).collect()
    }
}
