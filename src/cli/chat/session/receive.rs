//! Handling of what the service sends: answers, events and pages of history.

use super::{ChatSession, QUIT_TIMEOUT, is_retryable};
use crate::cli::chat::ChatError;
use crate::cli::chat::event::Effect;
use crate::cli::chat::outgoing::READ_REFERENCE;
use crate::cli::chat::transcript::{HistoryPage, TranscriptLine};
use crate::model::Seq;
use crate::protocol::{
    Ack, ConversationEvent, Cursor, Event, MembershipEvent, MessageEvent, Problem, Reference,
    ServerMessage,
};

/// Seconds for which the peer counts as typing after an event.
const TYPING_TIMEOUT: u32 = 5;

impl ChatSession {
    pub(super) fn receive(&mut self, message: ServerMessage) -> Vec<Effect> {
        self.connection.record_activity();
        match message {
            ServerMessage::Hello {
                cursor,
                heartbeat_s,
                ..
            } => self.connected(cursor, heartbeat_s),
            ServerMessage::Ack(ack) => self.acknowledged(*ack),
            ServerMessage::Error { reference, problem } => {
                self.send_failed(reference.as_ref(), &problem)
            }
            ServerMessage::Event(event) => self.receive_event(event),
            // The client watches no room, and `close` is sent on event streams (SSE) only.
            ServerMessage::RoomEvent(_) | ServerMessage::Close { .. } => Vec::new(),
        }
    }

    fn connected(&mut self, cursor: Cursor, heartbeat: u8) -> Vec<Effect> {
        self.cursor = Some(cursor);
        let mut effects = Vec::new();
        if self.connection.set_connected(heartbeat) {
            effects.push(Effect::PrintNotice("reconnected".to_owned()));
        }
        if self.loading_history || self.transcript.last_seq().is_none() {
            effects.push(self.load_history());
        }
        effects
    }

    fn load_history(&mut self) -> Effect {
        self.loading_history = true;
        self.history_after = self.transcript.last_seq();
        let after = self.history_after;
        Effect::LoadHistory { after }
    }

    fn acknowledged(&mut self, ack: Ack) -> Vec<Effect> {
        if let Some(conversation) = &ack.conversation {
            self.peer_receipts = conversation.into();
        }
        let reference = ack.reference.as_ref().map_or("", Reference::as_str);
        if reference == READ_REFERENCE {
            self.receipts.acknowledge();
        } else if self.queue.expects(reference) {
            self.queue.pop();
            self.quit_left = self.quit_left.map(|_| QUIT_TIMEOUT);
        }
        let lines = ack.message.map(|message| self.transcript.add(message));
        self.print(lines.unwrap_or_default())
    }

    /// Repeats a failed message or receipt later if the service was only busy.
    fn send_failed(&mut self, reference: Option<&Reference>, problem: &Problem) -> Vec<Effect> {
        let reference = reference.map_or("", Reference::as_str);
        let retryable = is_retryable(problem);
        if reference == READ_REFERENCE {
            if retryable {
                self.receipts.request.back_off();
            } else {
                self.receipts.acknowledge();
            }
        } else if self.queue.expects(reference) {
            if retryable {
                self.queue.request.back_off();
            } else if let Some(body) = self.queue.pop() {
                return self.reject_message(body.as_str(), &problem.detail);
            }
        }
        Vec::new()
    }

    fn receive_event(&mut self, event: Event) -> Vec<Effect> {
        self.cursor = event.cursor().or(self.cursor);
        match event {
            Event::MessageCreated(event)
            | Event::MessageUpdated(event)
            | Event::MessageDeleted(event) => return self.receive_message(*event),
            Event::ConversationRead(event) | Event::ConversationDelivered(event) => {
                self.update_receipts(&event);
            }
            Event::ConversationChanged(event) => {
                if self.update_receipts(&event) {
                    return vec![self.load_history()];
                }
            }
            Event::RoomJoined(event) => return self.member_joined(event),
            Event::RoomLeft(event) => return self.member_left(event),
            Event::Reset { .. } => return vec![self.load_history()],
            Event::Typing { peer, .. } => {
                if self.peer == peer {
                    self.typing_left = TYPING_TIMEOUT;
                }
            }
            Event::PresenceChanged { .. } | Event::Unknown => (),
        }
        Vec::new()
    }

    /// Returns whether the event is about this conversation.
    fn update_receipts(&mut self, event: &ConversationEvent) -> bool {
        let concerns_peer = event.peer == self.peer;
        if concerns_peer {
            self.peer_receipts = event.into();
        }
        concerns_peer
    }

    fn receive_message(&mut self, event: MessageEvent) -> Vec<Effect> {
        if !self.update_receipts(&event.conversation) {
            return Vec::new();
        }
        self.typing_left = 0;
        let lines = self.transcript.add(event.message);
        let mut effects = self.print(lines);
        if self.transcript.has_gap() {
            effects.push(self.load_history());
        }
        effects
    }

    fn member_joined(&self, event: MembershipEvent) -> Vec<Effect> {
        if event.conversation.peer != self.peer || event.user == self.user {
            return Vec::new();
        }
        vec![Effect::Print(vec![TranscriptLine::Joined(event.user)])]
    }

    fn member_left(&self, event: MembershipEvent) -> Vec<Effect> {
        if event.conversation.peer != self.peer {
            return Vec::new();
        }
        if event.user == self.user {
            return vec![Effect::Exit(Err(ChatError::LeftRoom))];
        }
        vec![Effect::Print(vec![TranscriptLine::Left(event.user)])]
    }

    pub(super) fn add_history(&mut self, page: HistoryPage) -> Vec<Effect> {
        let read_seq = &mut self.peer_receipts.read_seq;
        *read_seq = page.peer_read_seq.max(*read_seq);
        self.loading_history = false;
        if self.transcript.last_seq().is_none() {
            let lines = self.transcript.open(page);
            // Sent for an empty page too, because the acknowledgement contains the receipts of the peer.
            self.receipts.set_displayed(Seq::default());
            return self.print(lines);
        }
        let (lines, next_after) = self.transcript.fill(page, self.history_after);
        let mut effects = self.print(lines);
        if next_after.is_some() {
            self.loading_history = true;
            self.history_after = next_after;
            effects.push(Effect::LoadHistory { after: next_after });
        }
        effects
    }

    fn print(&mut self, lines: Vec<TranscriptLine>) -> Vec<Effect> {
        if lines.is_empty() {
            return Vec::new();
        }
        let newest = self.transcript.newest_for(&self.user);
        self.receipts.set_displayed(newest.unwrap_or_default());
        vec![Effect::Print(lines)]
    }
}
