//! Why a live connection ends.

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// This process stops.
    Restart,
    /// The token is not good any more.
    TokenExpired,
    /// Too much waited to be read.
    SlowConsumer,
    /// Nothing came from the client for two heartbeats.
    Silent,
    /// The client speaks in binary messages.
    Binary,
    /// The client said too much at once.
    TooLarge,
    /// The client does not speak the protocol.
    Garbage,
    /// The client wants to.
    Asked,
}

impl CloseReason {
    /// The word for it that a client is told.
    pub const fn word(self) -> &'static str {
        match self {
            CloseReason::Restart => "restart",
            CloseReason::TokenExpired => "token_expired",
            CloseReason::SlowConsumer => "slow_consumer",
            CloseReason::Binary => "binary",
            CloseReason::TooLarge => "too_large",
            CloseReason::Garbage => "garbage",
            CloseReason::Asked | CloseReason::Silent => "",
        }
    }
}
