//! The lines of a file to import.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use crate::model::{ImportLine, SeenLines};

/// Limits memory: the service refuses a line of this length anyway.
const MAX_LINE: u64 = 8 * 1024 * 1024;

/// A line of the file.
pub struct FileLine {
    /// Its number, from 1.
    pub number: u64,
    /// Its text, to its end. One that names no id has the id that the service would derive if the
    /// whole file were one batch: so equal lines are told apart wherever batches begin.
    pub text: Vec<u8>,
    /// Its conversation, if the line is valid.
    pub pair: Option<String>,
}

/// Reads lines, and takes back those that are to be sent again.
pub struct FileLines {
    reader: BufReader<File>,
    waiting: VecDeque<FileLine>,
    seen: SeenLines,
    read: u64,
    bytes_read: u64,
}

impl FileLines {
    pub fn new(file: File) -> Self {
        Self {
            reader: BufReader::new(file),
            waiting: VecDeque::new(),
            seen: SeenLines::default(),
            read: 0,
            bytes_read: 0,
        }
    }

    /// Bytes of the file that were taken and not put back.
    pub fn bytes_taken(&self) -> u64 {
        let waiting = self.waiting.iter().map(|line| line.text.len() as u64);
        self.bytes_read.saturating_sub(waiting.sum())
    }

    /// The next lines: so many at most, and so many bytes, about. None at the end of the file.
    pub fn take(&mut self, count: usize, bytes: usize) -> io::Result<Vec<FileLine>> {
        let (mut lines, mut size) = (Vec::new(), 0);
        while lines.len() < count && size < bytes {
            let next = match self.waiting.pop_front() {
                Some(line) => Some(line),
                None => self.read()?,
            };
            let Some(line) = next else { break };
            size += line.text.len();
            lines.push(line);
        }
        Ok(lines)
    }

    /// Puts lines back in front of those that wait.
    pub fn put_back(&mut self, lines: Vec<FileLine>) {
        for line in lines.into_iter().rev() {
            self.waiting.push_front(line);
        }
    }

    fn read(&mut self) -> io::Result<Option<FileLine>> {
        let mut text = Vec::new();
        let mut limited = self.reader.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        self.read += 1;
        self.bytes_read += text.len() as u64;
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        let mut line = FileLine {
            number: self.read,
            text,
            pair: None,
        };
        self.identify(&mut line);
        Ok(Some(line))
    }

    fn identify(&mut self, line: &mut FileLine) {
        // What is invalid goes as it is: the service says what is wrong with it.
        let Ok(Some(mut parsed)) = ImportLine::parse(&line.text) else {
            return;
        };
        line.pair = Some(parsed.pair().as_str().to_owned());
        if parsed.has_id() {
            return;
        }
        let begin = line.text.iter().position(|byte| *byte == b'{');
        if let (Some(begin), Ok(id)) = (begin, parsed.identify(&mut self.seen)) {
            let member = format!("\"id\":\"{id}\",");
            let rest = line.text.split_off(begin + 1);
            line.text.extend([member.as_bytes(), &rest].concat());
        }
    }
}
