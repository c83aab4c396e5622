//! What a chaos test found.

use std::fmt;

/// What was sent, and everything that differs from the truth.
#[derive(Debug, Default)]
pub struct Report {
    /// Messages that were acknowledged.
    pub sends: usize,
    /// Requests whose outcome was unknown at first: the reply was lost or said so. The client repeats them.
    pub unknown: usize,
    /// Acknowledged messages that are gone, that differ from what was acknowledged, or are there twice.
    pub lost: Vec<String>,
    /// Rows of an inbox that differ from their conversation, or from those that a device shows.
    pub wrong_rows: Vec<String>,
    /// Totals that are not the sums of the rows, or not those that a device shows.
    pub wrong_totals: Vec<String>,
    /// Inboxes that are not in the order of their conversations.
    pub wrong_orders: Vec<String>,
    /// Conversations with a missing seq, or with a message twice.
    pub wrong_seqs: Vec<String>,
    /// Conversations that a device shows otherwise than the service returns them.
    pub wrong_texts: Vec<String>,
}

impl Report {
    fn inconsistencies(&self) -> [(&'static str, &[String]); 5] {
        [
            ("wrong rows", &self.wrong_rows),
            ("wrong totals", &self.wrong_totals),
            ("wrong orders", &self.wrong_orders),
            ("wrong seqs", &self.wrong_seqs),
            ("wrong texts", &self.wrong_texts),
        ]
    }

    /// Prints the report, and panics if anything is wrong.
    #[track_caller]
    pub fn assert_flawless(&self) {
        self.assert_consistent();
        assert_none("lost", &self.lost);
    }

    /// The same, but messages may be lost.
    #[track_caller]
    pub fn assert_consistent(&self) {
        println!("{self}");
        for (what, faults) in self.inconsistencies() {
            assert_none(what, faults);
        }
    }
}

#[track_caller]
fn assert_none(what: &str, faults: &[String]) {
    let some = &faults[..faults.len().min(5)];
    assert!(faults.is_empty(), "{what}: {}", some.join("\n"));
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sends {}, unknown {}", self.sends, self.unknown)?;
        write!(f, ", lost {}", self.lost.len())?;
        for (what, faults) in self.inconsistencies() {
            write!(f, ", {what} {}", faults.len())?;
        }
        Ok(())
    }
}
