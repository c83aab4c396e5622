//! A chat as a state machine without I/O: [`ClientEvent`]s go in, [`Effect`]s come out. Time is an input
//! too: [`ClientEvent::Tick`] once a second.

mod receive;

use super::ChatError;
use super::connection_state::ConnectionState;
use super::event::{ClientEvent, Effect};
use super::outgoing::{PendingRequest, ReceiptTracker, SendQueue};
use super::render::quote;
use super::status::{ChatStatus, DeliveryStatus, PeerReceipts};
use super::transcript::Transcript;
use crate::model::{Peer, Seq, UserId};
use crate::protocol::{CloseReason, Cursor, Problem};

/// After a quit, seconds to wait for each acknowledgement.
const QUIT_TIMEOUT: u32 = 5;

#[derive(Debug)]
pub struct ChatSession {
    user: UserId,
    peer: Peer,
    /// Position in the event stream.
    cursor: Option<Cursor>,
    connection: ConnectionState,
    transcript: Transcript,
    /// Whether a requested page of history is not loaded yet.
    loading_history: bool,
    /// The start of the page that was requested last.
    history_after: Option<Seq>,
    queue: SendQueue,
    receipts: ReceiptTracker,
    peer_receipts: PeerReceipts,
    /// Seconds until the peer no longer counts as typing.
    typing_left: u32,
    /// Number of messages that will never be sent.
    rejected: usize,
    /// Seconds until the exit; `None` before the user quits.
    quit_left: Option<u32>,
    status: ChatStatus,
}

impl ChatSession {
    pub fn new(user: UserId, peer: Peer) -> Self {
        Self {
            user,
            peer,
            cursor: None,
            connection: ConnectionState::default(),
            transcript: Transcript::default(),
            loading_history: false,
            history_after: None,
            queue: SendQueue::default(),
            receipts: ReceiptTracker::default(),
            peer_receipts: PeerReceipts::default(),
            typing_left: 0,
            rejected: 0,
            quit_left: None,
            status: ChatStatus::default(),
        }
    }

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
            effects.extend(self.queue.next_to_send(&self.peer).map(Effect::Send));
            let receipts = self.receipts.next_to_send(&self.peer);
            effects.extend(receipts.into_iter().map(Effect::Send));
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

    fn connect(&self) -> Effect {
        Effect::Connect {
            cursor: self.cursor,
            failures: self.connection.failures(),
        }
    }

    fn disconnected(&mut self, code: Option<u16>, reason: String) -> Vec<Effect> {
        if code == Some(CloseReason::TokenExpired.code()) {
            return vec![Effect::Exit(Err(ChatError::TokenExpired))];
        }
        if code == Some(CloseReason::Replaced.code()) {
            return vec![Effect::Exit(Err(ChatError::Replaced))];
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
        if is_retryable(&problem) && self.connection.was_ever_connected() {
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
        let notices = unsent.map(|body| format!("not sent: {}", quote(body.as_str())));
        let notices = notices.map(Effect::PrintNotice);
        notices.chain([Effect::Exit(result)]).collect()
    }
}

/// Decides by the HTTP status, since a proxy's response has no `code`.
fn is_retryable(problem: &Problem) -> bool {
    matches!(problem.status, 408 | 429 | 500..)
}
