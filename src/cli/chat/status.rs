//! The status in the prompt: connection, unsent messages, delivery of the last message, typing.

use crate::model::{ConversationState, Seq};
use crate::protocol::ConversationEvent;

/// State that the prompt shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatStatus {
    pub connected: bool,
    /// Messages whose sending is delayed.
    pub unsent: usize,
    /// `seq` and delivery of the user's last message.
    pub delivery: Option<(Seq, DeliveryStatus)>,
    pub peer_is_typing: bool,
}

/// How far the peer has received and read the conversation.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerReceipts {
    /// Received by the peer's devices up to this message.
    pub delivered_seq: Seq,
    /// Read by the peer up to this message.
    pub read_seq: Seq,
}

impl From<&ConversationEvent> for PeerReceipts {
    fn from(event: &ConversationEvent) -> Self {
        Self {
            delivered_seq: event.peer_delivered_seq,
            read_seq: event.peer_read_seq,
        }
    }
}

impl From<&ConversationState> for PeerReceipts {
    fn from(conversation: &ConversationState) -> Self {
        Self {
            delivered_seq: conversation.peer_delivered_seq,
            read_seq: conversation.peer_read_seq,
        }
    }
}

/// The delivery status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Stored by the service.
    Sent,
    /// Received by a device of the peer.
    Delivered,
    /// Read by the peer.
    Read,
}

impl DeliveryStatus {
    pub fn of(seq: Seq, receipts: PeerReceipts) -> Self {
        if receipts.read_seq >= seq {
            DeliveryStatus::Read
        } else if receipts.delivered_seq >= seq {
            DeliveryStatus::Delivered
        } else {
            DeliveryStatus::Sent
        }
    }

    /// Check marks. Only their colour distinguishes `Delivered` and `Read`.
    pub const fn symbol(self) -> &'static str {
        match self {
            DeliveryStatus::Sent => "✓",
            DeliveryStatus::Delivered | DeliveryStatus::Read => "✓✓",
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            DeliveryStatus::Sent => "sent",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Read => "read",
        }
    }
}
