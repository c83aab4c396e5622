//! Retention: how many messages are kept, and for how long.

use chrono::{TimeDelta, Utc};

use super::rfc3339;

/// The limits of what is kept of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Number of messages; 0 keeps all.
    pub messages: u64,
    /// Age in days; 0 keeps messages forever.
    pub days: u32,
}

impl Retention {
    /// Whether messages are dropped at all.
    pub fn is_limited(self) -> bool {
        self != Self::default()
    }

    /// The argument of scripts: `messages|since`, with a time in the form of `sent_at`, or nothing, for
    /// `since`. Empty if nothing is ever dropped.
    pub fn script_arg(self) -> String {
        if !self.is_limited() {
            return String::new();
        }
        let since = match self.days {
            0 => String::new(),
            days => rfc3339(Utc::now() - TimeDelta::days(i64::from(days))),
        };
        format!("{}|{since}", self.messages)
    }
}
