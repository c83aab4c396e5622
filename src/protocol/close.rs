//! Why a live connection ends.

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
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

impl Farewell {
    /// The word for it that a client is told.
    pub const fn word(self) -> &'static str {
        match self {
            Farewell::Restart => "restart",
            Farewell::TokenExpired => "token_expired",
            Farewell::SlowConsumer => "slow_consumer",
            Farewell::Binary => "binary",
            Farewell::TooLarge => "too_large",
            Farewell::Garbage => "garbage",
            Farewell::Asked | Farewell::Silent => "",
        }
    }
}
