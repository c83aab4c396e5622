//! One user's end of a conversation, as a state machine without I/O: [`ClientEvent`]s go in,
//! [`Effect`]s come out. Time is an input too: [`ClientEvent::Tick`] once a second.

use super::ChatError;
use super::connection_state::ConnectionState;
use super::event::{ClientEvent, Effect};
use super::frame::{Frame, Page, Problem, Receipts};
use super::outgoing::{PendingRequest, READ, ReceiptTracker, SendQueue};
use super::render::quote;
use super::status::{ChatStatus, DeliveryStatus};
use super::transcript::{Transcript, TranscriptLine};

/// After a quit, seconds to wait for each acknowledgement.
const QUIT_TIMEOUT: u32 = 5;
/// Seconds for which a typing event holds.
const TYPING_TIMEOUT: u32 = 5;
/// WebSocket close code for an expired token.
const TOKEN_EXPIRED: u16 = 4401;

/// State of a chat.
#[derive(Debug, Default)]
pub struct ChatSession {
    user: String,
    peer: String,
    /// Position in the event stream.
    cursor: Option<String>,
    connection: ConnectionState,
    transcript: Transcript,
    /// Whether a page of history was requested and is not loaded yet.
    loading_history: bool,
    queue: SendQueue,
    receipts: ReceiptTracker,
    peer_receipts: Receipts,
    /// Seconds until the peer no longer counts as typing.
    typing_left: u32,
    /// Number of messages that will never be sent.
    rejected: usize,
    /// Seconds until the exit; `None` before the user quits.
    quit_left: Option<u32>,
    status: ChatStatus,
}

impl ChatSession {
    pub fn new(user: &str, peer: &str) -> Self {
        Self {
            user: user.to_owned(),
            peer: peer.to_owned(),
            ..Self::default()
        }
    }

    /// The first effects.
    pub fn start(&self) -> Vec<Effect> {
        vec![self.connect()]
    }

    /// Advances the state by one event.
    pub fn handle(&mut self, event: ClientEvent) -> Vec<Effect> {
        let mut effects = match event {
            ClientEvent::LineEntered(line) => self.enter_line(&line),
            ClientEvent::Quit => self.quit(),
            ClientEvent::MessageReceived(message) => self.receive(*message),
            ClientEvent::Heartbeat => {
                self.connection.record_activity();
                Vec::new()
            }
            ClientEvent::HistoryLoaded(page) => self.add_history(page),
            ClientEvent::Disconnected { code, reason } => self.disconnected(code, reason),
            ClientEvent::Rejected(problem) => self.request_rejected(problem),
            ClientEvent::Tick => self.tick(),
        };
        effects.extend(self.advance());
        effects
    }

    /// The effects that are due after any event: requests, a changed status, the exit.
    fn advance(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.connection.is_connected() {
            let requests = self.queue.next_request(&self.peer).into_iter();
            let requests = requests.chain(self.receipts.next_requests(&self.peer));
            effects.extend(requests.map(Effect::Send));
        }
        let status = self.status();
        if status != self.status {
            self.status = status;
            effects.push(Effect::ShowStatus(status));
        }
        if self.quit_left.is_some() && self.is_finished() {
            effects.extend(self.exit());
        }
        effects
    }

    fn status(&self) -> ChatStatus {
        let connected = self.connection.is_connected();
        let newest = self.transcript.newest_from(&self.user);
        ChatStatus {
            connected,
            unsent: self.queue.delayed(connected),
            delivery: newest.map(|seq| (seq, DeliveryStatus::of(seq, self.peer_receipts))),
            peer_is_typing: self.typing_left > 0,
        }
    }

    /// Whether everything is sent, acknowledged and displayed.
    fn is_finished(&self) -> bool {
        self.queue.is_empty()
            && self.receipts.is_acknowledged()
            && !self.loading_history
            && self.transcript.is_complete()
    }

    fn enter_line(&mut self, line: &str) -> Vec<Effect> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        match self.queue.push(line) {
            Ok(()) => Vec::new(),
            Err(reason) => self.reject_message(line, reason),
        }
    }

    fn reject_message(&mut self, text: &str, reason: &str) -> Vec<Effect> {
        self.rejected += 1;
        let notice = format!("not sent: {}: {reason}", quote(text));
        vec![Effect::PrintNotice(notice)]
    }

    fn receive(&mut self, message: Frame) -> Vec<Effect> {
        self.connection.record_activity();
        match &*message.kind {
            "hello" => self.connected(message),
            "ack" | "error" => self.receive_answer(message),
            _ => self.receive_event(message),
        }
    }

    fn connected(&mut self, hello: Frame) -> Vec<Effect> {
        self.cursor = hello.cursor;
        let mut effects = Vec::new();
        if self.connection.set_connected(hello.heartbeat_s) {
            effects.push(Effect::PrintNotice("reconnected".to_owned()));
        }
        if self.loading_history || self.transcript.last_seq().is_none() {
            effects.push(self.load_history());
        }
        effects
    }

    fn load_history(&mut self) -> Effect {
        self.loading_history = true;
        let after = self.transcript.last_seq();
        Effect::LoadHistory { after }
    }

    fn receive_answer(&mut self, answer: Frame) -> Vec<Effect> {
        let reference = answer.reference.unwrap_or_default();
        if let Some(receipts) = answer.conversation {
            self.peer_receipts = receipts;
        }
        if let Some(problem) = answer.problem {
            return self.receive_error(&reference, &problem);
        }
        if reference == READ {
            self.receipts.acknowledge();
        } else if self.queue.expects(&reference) {
            self.queue.pop();
            self.quit_left = self.quit_left.map(|_| QUIT_TIMEOUT);
        }
        let lines = answer.message.map(|message| self.transcript.add(message));
        self.print(lines.unwrap_or_default())
    }

    fn receive_error(&mut self, reference: &str, problem: &Problem) -> Vec<Effect> {
        let is_message = self.queue.expects(reference);
        let request = match reference {
            READ => &mut self.receipts.request,
            _ if is_message => &mut self.queue.request,
            _ => return Vec::new(),
        };
        if problem.is_retryable() {
            request.back_off();
            return Vec::new();
        }
        if !is_message {
            self.receipts.acknowledge();
            return Vec::new();
        }
        let body = self.queue.pop().unwrap_or_default();
        self.reject_message(&body, &problem.detail)
    }

    fn receive_event(&mut self, event: Frame) -> Vec<Effect> {
        self.cursor = event.cursor.or(self.cursor.take());
        if event.kind == "reset" {
            return vec![self.load_history()];
        }
        if event.peer.as_deref() != Some(&*self.peer) {
            return Vec::new();
        }
        match &*event.kind {
            "typing" => self.typing_left = TYPING_TIMEOUT,
            "presence.changed" => (),
            _ => self.peer_receipts = event.receipts,
        }
        let mut effects = Vec::new();
        if let Some(message) = event.message {
            self.typing_left = 0;
            let lines = self.transcript.add(message);
            effects = self.print(lines);
        }
        if event.kind == "conversation.changed" || self.transcript.has_gap() {
            effects.push(self.load_history());
        }
        effects
    }

    fn add_history(&mut self, page: Page) -> Vec<Effect> {
        let read_seq = &mut self.peer_receipts.peer_read_seq;
        *read_seq = page.peer_read_seq.max(*read_seq);
        self.loading_history = false;
        if self.transcript.last_seq().is_none() {
            let lines = self.transcript.open(page);
            // Sent for an empty page too: the acknowledgement says what the peer has received.
            self.receipts.set_displayed(0);
            return self.print(lines);
        }
        let (lines, next_after) = self.transcript.fill(page);
        self.loading_history = next_after.is_some();
        let mut effects = self.print(lines);
        effects.extend(next_after.map(|seq| Effect::LoadHistory { after: Some(seq) }));
        effects
    }

    fn print(&mut self, lines: Vec<TranscriptLine>) -> Vec<Effect> {
        if lines.is_empty() {
            return Vec::new();
        }
        let newest = self.transcript.newest_from(&self.peer);
        self.receipts.set_displayed(newest.unwrap_or_default());
        vec![Effect::Print(lines)]
    }

    fn connect(&self) -> Effect {
        Effect::Connect {
            cursor: self.cursor.clone(),
            failures: self.connection.failures(),
        }
    }

    fn disconnected(&mut self, code: Option<u16>, reason: String) -> Vec<Effect> {
        if code == Some(TOKEN_EXPIRED) {
            return vec![Effect::Exit(Err(ChatError::TokenExpired))];
        }
        if !self.connection.was_ever_connected() {
            return vec![Effect::Exit(Err(ChatError::Unreachable(reason)))];
        }
        self.typing_left = 0;
        // Requests in flight may be lost, so they are sent again after the reconnect.
        self.queue.request = PendingRequest::Idle;
        self.receipts.request = PendingRequest::Idle;
        let mut effects = Vec::new();
        if self.connection.set_disconnected(code) {
            effects.push(Effect::PrintNotice("reconnecting…".to_owned()));
        }
        effects.push(self.connect());
        effects
    }

    fn request_rejected(&mut self, problem: Problem) -> Vec<Effect> {
        if problem.is_retryable() && self.connection.was_ever_connected() {
            return self.disconnected(None, problem.detail);
        }
        vec![Effect::Exit(Err(ChatError::Rejected(problem)))]
    }

    fn tick(&mut self) -> Vec<Effect> {
        self.typing_left = self.typing_left.saturating_sub(1);
        if let Some(left) = &mut self.quit_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return self.exit();
            }
        }
        let requests = [&mut self.queue.request, &mut self.receipts.request];
        let overdue = requests.map(PendingRequest::tick).contains(&true);
        if self.connection.tick() || overdue {
            return self.disconnected(None, "the service does not respond".to_owned());
        }
        Vec::new()
    }

    fn quit(&mut self) -> Vec<Effect> {
        if self.quit_left.is_some() {
            return self.exit();
        }
        self.quit_left = Some(QUIT_TIMEOUT);
        Vec::new()
    }

    /// Reports the messages that are still queued, and exits.
    fn exit(&mut self) -> Vec<Effect> {
        let result = match self.queue.len() + self.rejected {
            0 => Ok(()),
            unsent => Err(ChatError::Unsent(unsent)),
        };
        let unsent = std::iter::from_fn(|| self.queue.pop());
        let notices = unsent.map(|body| format!("not sent: {}", quote(&body)));
        let notices = notices.map(Effect::PrintNotice);
        notices.chain([Effect::Exit(result)]).collect()
    }
}
