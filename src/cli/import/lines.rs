//! The lines of a file to import.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use crate::model::{ImportLine, SeenLines};

/// Maximum length of a line in bytes, to limit memory. The service refuses shorter lines already.
const MAX_LINE: u64 = 8 * 1024 * 1024;

/// A line of the file.
pub struct FileLine {
    /// Its number, from 1.
    pub number: u64,
    /// The text, with the line break. If the line has no id, one is added: the id that the service would
    /// derive if the whole file were one batch. Thus equal lines get different ids in every division into
    /// batches.
    pub text: Vec<u8>,
    /// Its conversation, if the line is valid.
    pub pair: Option<String>,
}

/// Reads lines. Lines that must be sent again can be put back.
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

    /// Number of bytes that were taken and not put back.
    pub fn bytes_taken(&self) -> u64 {
        let waiting = self.waiting.iter().map(|line| line.text.len() as u64);
        self.bytes_read.saturating_sub(waiting.sum())
    }

    /// The next lines: at most `count`, and about `bytes` in total. Empty at the end of the file.
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

    /// Puts lines back, in front of all others.
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
        // An invalid line is sent unchanged; the service reports what is wrong with it.
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
