//! Messages and receipts that the service must acknowledge.

use std::collections::VecDeque;

use chrono::Utc;

use crate::model::{Body, IdempotencyKey, MessageInput, Peer, Seq, fresh_id};
use crate::protocol::{ClientMessage, Command, OutgoingMessage, ReadReceipt, Receipt, Reference};

/// Seconds after which an unanswered request counts as lost, and the connection with it.
const TIMEOUT: u32 = 15;
/// Seconds before a request is repeated that the service was too busy for.
const RETRY_DELAY: u32 = 2;
/// `ref` of the second receipt, which is sent after `delivered` and whose answer acknowledges both.
pub const READ_REFERENCE: &str = "read";

/// State of a request that may be sent once at a time.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum PendingRequest {
    #[default]
    Idle,
    /// Sent this many seconds ago and not answered yet.
    InFlight(u32),
    /// May be sent again in this many seconds.
    Backoff(u32),
}

impl PendingRequest {
    /// Marks the request as in flight if it is idle; returns whether to send it now.
    fn start(&mut self) -> bool {
        let idle = *self == PendingRequest::Idle;
        if idle {
            *self = PendingRequest::InFlight(0);
        }
        idle
    }

    pub fn back_off(&mut self) {
        *self = PendingRequest::Backoff(RETRY_DELAY);
    }

    /// Counts a second; returns whether the answer is overdue.
    pub fn tick(&mut self) -> bool {
        match self {
            PendingRequest::Idle => (),
            PendingRequest::InFlight(seconds) => {
                *seconds += 1;
                return *seconds > TIMEOUT;
            }
            PendingRequest::Backoff(0 | 1) => *self = PendingRequest::Idle,
            PendingRequest::Backoff(seconds) => *seconds -= 1,
        }
        false
    }
}

/// Messages in the order they were entered. Only the first is in flight, which keeps the order.
/// A message keeps its idempotency key when it is sent again, so it is stored once.
#[derive(Debug, Default)]
pub struct SendQueue {
    messages: VecDeque<QueuedMessage>,
    /// The state of the first message.
    pub request: PendingRequest,
}

#[derive(Debug)]
struct QueuedMessage {
    /// Idempotency key, and `ref` of the answer.
    key: String,
    body: Body,
}

impl QueuedMessage {
    fn to_client_message(&self, recipient: &Peer) -> ClientMessage {
        let message = MessageInput {
            from: None,
            to: recipient.clone(),
            client_id: None,
            body: self.body.clone(),
            reply_to: None,
            attachments: Vec::new(),
            metadata: None,
            mentions: Vec::new(),
            expires_in: None,
        };
        ClientMessage {
            reference: Reference::new(self.key.clone()),
            command: Command::Send(Box::new(OutgoingMessage {
                message,
                idempotency_key: IdempotencyKey::try_from(&*self.key).ok(),
            })),
        }
    }
}

impl SendQueue {
    /// Appends a message, or returns why the text is not a valid body.
    pub fn push(&mut self, text: &str) -> Result<(), &'static str> {
        let body = Body::try_from(text.to_owned())?;
        let key = fresh_id(Utc::now()).to_string();
        self.messages.push_back(QueuedMessage { key, body });
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Number of messages to report as unsent: none while sending works without delay.
    pub fn delayed(&self, connected: bool) -> usize {
        let prompt = matches!(
            self.request,
            PendingRequest::Idle | PendingRequest::InFlight(0)
        );
        if connected && prompt { 0 } else { self.len() }
    }

    /// The message to send now, if any.
    pub fn next_to_send(&mut self, recipient: &Peer) -> Option<ClientMessage> {
        let first = self.messages.front()?;
        self.request
            .start()
            .then(|| first.to_client_message(recipient))
    }

    /// Whether an answer with this `ref` belongs to the first message.
    pub fn expects(&self, reference: &str) -> bool {
        let first = self.messages.front();
        first.is_some_and(|message| message.key == reference)
    }

    /// Removes the first message, which was acknowledged or rejected; returns its body.
    pub fn pop(&mut self) -> Option<Body> {
        self.request = PendingRequest::Idle;
        self.messages.pop_front().map(|message| message.body)
    }
}

/// Sends receipts for the messages that were displayed.
#[derive(Debug, Default)]
pub struct ReceiptTracker {
    displayed: Option<Seq>,
    sent: Option<Seq>,
    acknowledged: Option<Seq>,
    pub request: PendingRequest,
}

impl ReceiptTracker {
    pub fn set_displayed(&mut self, seq: Seq) {
        self.displayed = self.displayed.max(Some(seq));
    }

    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged >= self.displayed
    }

    /// The receipts to send now, if any: what is displayed is delivered and read. A room does not count
    /// what is delivered.
    pub fn next_to_send(&mut self, peer: &Peer) -> Vec<ClientMessage> {
        let Some(seq) = self.displayed.filter(|_| !self.is_acknowledged()) else {
            return Vec::new();
        };
        if !self.request.start() {
            return Vec::new();
        }
        self.sent = Some(seq);
        let message = |reference: &str, command| ClientMessage {
            reference: Reference::new(reference.to_owned()),
            command,
        };
        let delivered = peer.user().map(|_| {
            let peer = peer.clone();
            message("delivered", Command::Delivered(Receipt { peer, seq }))
        });
        let read = Command::Read(ReadReceipt {
            peer: peer.clone(),
            seq,
            private: None,
        });
        let read = message(READ_REFERENCE, read);
        delivered.into_iter().chain([read]).collect()
    }

    /// Records that the service acknowledged the receipts, or rejected them for good.
    pub fn acknowledge(&mut self) {
        self.request = PendingRequest::Idle;
        self.acknowledged = self.sent;
    }
}
