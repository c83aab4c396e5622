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
    /// Rows of an inbox that differ from their conversation.
    pub wrong_rows: Vec<String>,
    /// Totals that are not the sums of the rows, or not those that a device shows.
    pub wrong_totals: Vec<String>,
    /// Conversations that a device shows otherwise than the service returns them.
    pub wrong_texts: Vec<String>,
}

impl Report {
    fn faults(&self) -> [(&'static str, &[String]); 4] {
        [
            ("lost", &self.lost),
            ("wrong rows", &self.wrong_rows),
            ("wrong totals", &self.wrong_totals),
            ("wrong texts", &self.wrong_texts),
        ]
    }

    /// Prints the report, and panics if anything is wrong.
    #[track_caller]
    pub fn assert_flawless(&self) {
        println!("{self}");
        for (what, faults) in self.faults() {
            let some = &faults[..faults.len().min(5)];
            assert!(faults.is_empty(), "{what}: {}", some.join("\n"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sends {}, unknown {}", self.sends, self.unknown)?;
        for (what, faults) in self.faults() {
            write!(f, ", {what} {}", faults.len())?;
        }
        Ok(())
    }
}
