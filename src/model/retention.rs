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

    /// Since when messages are kept, as `sent_at` has it; empty for ever.
    pub fn since(self) -> String {
        if self.days == 0 {
            return String::new();
        }
        let since = Utc::now() - TimeDelta::days(i64::from(self.days));
        rfc3339(since)
    }
}
