//! What the prompt shows: connection, unsent messages, delivery of the last message, typing.

use super::frame::Receipts;

/// State that the prompt shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatStatus {
    pub connected: bool,
    /// Messages whose sending is delayed.
    pub unsent: usize,
    /// `seq` and delivery of the user's last message.
    pub delivery: Option<(u64, DeliveryStatus)>,
    pub peer_is_typing: bool,
}

/// How far a message got.
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
    pub fn of(seq: u64, receipts: Receipts) -> Self {
        if receipts.peer_read_seq >= seq {
            DeliveryStatus::Read
        } else if receipts.peer_delivered_seq >= seq {
            DeliveryStatus::Delivered
        } else {
            DeliveryStatus::Sent
        }
    }

    /// Check marks. Only colour tells the last two apart.
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
