//! Why a live connection ends.

/// Declares [`CloseReason`] from rows of `variant, close code, reason, meaning`.
macro_rules! close_reasons {
    ($($variant:ident $code:literal $reason:literal $meaning:literal;)*) => {
        /// Why a live connection ends. Each reason is one row of the table: the close code of a
        /// WebSocket (RFC 6455 section 7.4), the reason that is sent with it, and its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CloseReason {
            $(#[doc = $meaning] $variant,)*
        }

        impl CloseReason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [CloseReason] = &[$(CloseReason::$variant,)*];

            pub const fn code(self) -> u16 {
                match self { $(CloseReason::$variant => $code,)* }
            }

            /// What has happened, for humans.
            pub const fn meaning(self) -> &'static str {
                match self { $(CloseReason::$variant => $meaning,)* }
            }

            /// The reason, for programs; empty if the code is sufficient.
            pub const fn reason(self) -> &'static str {
                match self { $(CloseReason::$variant => $reason,)* }
            }
        }
    };
}

close_reasons! {
    ClientClosed     1000 ""              "The client closed the connection.";
    ProtocolError    1002 "garbage"       "The client violated the WebSocket protocol.";
    BinaryMessage    1003 "binary"        "The client sent a binary message.";
    Unresponsive     1006 ""              "The client sent nothing for two heartbeats. The connection is dropped without a close frame.";
    InvalidUtf8      1007 "invalid_utf8"  "The client sent text that is not UTF-8.";
    TooManyRefusals  1008 "too_many_refusals" "20 messages of the client were refused within a minute.";
    MessageTooLarge  1009 "too_large"     "The client sent a message of more than 512 KiB.";
    Restart          1012 "restart"       "This process stops.";
    TokenExpired     4401 "token_expired" "The client's token has expired.";
    SlowConsumer     4408 "slow_consumer" "Too many events waited to be sent to the client.";
    Replaced         4409 "replaced"      "The user opened more connections than allowed, and this was the oldest.";
}

impl CloseReason {
    /// Whether a client may receive the reason. Otherwise the client has closed the connection, or is gone.
    pub const fn is_sent(self) -> bool {
        !matches!(self, Self::ClientClosed | Self::Unresponsive)
    }
}
