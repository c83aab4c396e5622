//! The position of a connection in a stream of events.

use crate::protocol::Cursor;

/// Follows a stream: decides which published events are sent, so that each is sent exactly once and in order, and
/// when the stream is to be read from the store instead.
#[derive(Debug)]
pub(super) struct Follower {
    /// The position directly after the last event that was sent.
    cursor: Cursor,
    /// Set while the stream is read. Events that are published meanwhile are not sent: those that are kept are in
    /// the stream.
    reading: Option<Missed>,
}

/// Events published while a stream is read.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// The last event that is kept.
    pub last: Option<Cursor>,
    /// Whether events may have been lost.
    pub gap: bool,
}

/// What to do with a published event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the next one.
    Send,
    /// It was sent already, or will be read.
    Skip,
    /// Read the stream after the cursor: events before it are missing.
    Read,
}

impl Follower {
    /// Follows a stream after a cursor.
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            cursor,
            reading: None,
        }
    }

    /// Follows a stream after a cursor, of which a page is being read.
    pub(super) fn reading(cursor: Cursor, missed: Missed) -> Self {
        Self {
            cursor,
            reading: Some(missed),
        }
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Begins to read the stream after the cursor.
    pub(super) fn read(&mut self) {
        self.reading = Some(Missed::default());
    }

    /// An event was published.
    pub(super) fn receive(&mut self, cursor: Cursor, prev: Option<Cursor>) -> Step {
        if let Some(missed) = &mut self.reading {
            missed.last = Some(cursor);
            return Step::Skip;
        }
        if self.cursor.reaches(cursor) {
            return Step::Skip;
        }
        if prev == Some(self.cursor) {
            self.cursor = cursor;
            return Step::Send;
        }
        self.read();
        Step::Read
    }

    /// Published events may have been lost. Returns whether to read the stream now; if it is being read, it is read
    /// again afterwards.
    pub(super) fn note_gap(&mut self) -> bool {
        match &mut self.reading {
            Some(missed) => {
                missed.gap = true;
                false
            }
            None => {
                self.read();
                true
            }
        }
    }

    /// A page was read and sent. `next` is the position after it. Returns whether to read on.
    pub(super) fn finish_page(&mut self, next: Cursor, more: bool) -> bool {
        self.cursor = next;
        if more {
            return true;
        }
        let Missed { last, gap } = self.reading.take().unwrap_or_default();
        let misses = gap || last.is_some_and(|last| !next.reaches(last));
        if misses {
            self.read();
        }
        misses
    }
}
