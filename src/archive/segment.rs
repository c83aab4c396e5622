//! Segments: consecutive messages of a conversation, compressed as JSON lines.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::RangeInclusive;

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use crate::model::StoredMessage;

/// The level of compression. 500 short messages take 0.3 ms and 43 bytes each.
const LEVEL: i32 = 3;
/// Maximum size of a segment: 500 messages of 110 KB.
const MAX_BYTES: u64 = 64 << 20;

/// Consecutive messages of a conversation, as they are stored, oldest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    low: u64,
    /// The messages, each followed by a newline, which no JSON of a message contains.
    text: String,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Segment {
    /// A segment of messages, the first of which has the seq `low`.
    pub fn of(low: u64, messages: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for message in messages {
            text.push_str(message.as_ref());
            ends.push(text.len());
            text.push('\n');
        }
        Self { low, text, ends }
    }

    /// Reads an object. It must have exactly the messages from one seq to another.
    pub fn decode(bytes: &[u8], low: u64, high: u64) -> Result<Self, String> {
        let mut text = String::new();
        let decoder = Decoder::new(bytes).map_err(|e| e.to_string())?;
        let read = decoder.take(MAX_BYTES).read_to_string(&mut text);
        read.map_err(|e| e.to_string())?;
        let segment = Self::of(low, text.lines());
        for (seq, message) in (low..).zip(segment.messages()) {
            if StoredMessage::seq_of(message) != Some(seq) {
                return Err(format!("message {seq} is not in its place"));
            }
        }
        if (low + segment.ends.len() as u64) != high + 1 {
            return Err(format!("it does not end with message {high}"));
        }
        Ok(segment)
    }

    /// The first message of an object; `None` if it is not a segment.
    pub fn first_of(bytes: &[u8]) -> Option<StoredMessage> {
        let mut lines = BufReader::new(Decoder::new(bytes).ok()?.take(MAX_BYTES)).lines();
        lines.next()?.ok().map(StoredMessage)
    }

    /// The object. It has a checksum, so that damage is noticed.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.write_all(self.text.as_bytes())?;
        encoder.finish()
    }

    /// The seq of the first message.
    pub fn low(&self) -> u64 {
        self.low
    }

    /// The seq of the last message.
    pub fn high(&self) -> u64 {
        self.low + self.ends.len() as u64 - 1
    }

    /// The message with a seq.
    pub fn get(&self, seq: u64) -> Option<&str> {
        let index = usize::try_from(seq.checked_sub(self.low)?).ok()?;
        let end = *self.ends.get(index)?;
        let begin = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] + 1);
        Some(&self.text[begin..end])
    }

    /// All messages, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        (self.low..=self.high()).filter_map(|seq| self.get(seq))
    }

    /// The same segment with other messages at those seqs for which there is one.
    #[must_use]
    pub fn replaced(&self, new: impl Fn(u64, &str) -> Option<String>) -> Self {
        let messages = (self.low..).zip(self.messages());
        let messages = messages.map(|(seq, stored)| match new(seq, stored) {
            Some(message) => Cow::Owned(message),
            None => Cow::Borrowed(stored),
        });
        Self::of(self.low, messages)
    }

    /// The size of its messages between two seqs, in bytes.
    pub fn size(&self, between: &RangeInclusive<u64>) -> usize {
        let messages = (self.low..).zip(self.messages());
        let messages = messages.filter(|(seq, _)| between.contains(seq));
        messages.map(|(_, message)| message.len()).sum()
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<usize>()
    }
}
