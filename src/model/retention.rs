//! How long messages are kept.

use chrono::{TimeDelta, Utc};

use super::rfc3339;

/// How many messages of a conversation are kept, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages of a conversation; 0 for all.
    pub messages: u64,
    /// Days; 0 for ever.
    pub days: u32,
}

impl Retention {
    /// Whether anything is ever dropped.
    pub fn is_limited(self) -> bool {
        self != Self::default()
    }

    /// What scripts take: `messages|since`, the latter a time as `sent_at` has it, empty for ever.
    /// Empty if nothing is ever dropped.
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
