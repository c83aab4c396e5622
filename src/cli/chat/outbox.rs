//! What has to be said and is not known to have arrived: lines, and how far was read.

use std::collections::VecDeque;

use chrono::Utc;
use serde_json::Value;

use super::frame;
use super::pending_request::PendingRequest;
use crate::model::{Body, fresh_id};

/// Lines in their order. One is under way at a time, so that none overtakes another; each keeps
/// its key, by which the service knows it when it comes again.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: VecDeque<Line>,
    /// Of the first line.
    pub turn: PendingRequest,
}

#[derive(Debug)]
struct Line {
    key: String,
    body: String,
}

impl Outbox {
    /// Takes a line; says why, if no message can be made of it.
    pub fn push(&mut self, line: &str) -> Result<(), &'static str> {
        let body = Body::try_from(line.to_owned())?.as_str().to_owned();
        let key = fresh_id(Utc::now()).to_string();
        self.lines.push_back(Line { key, body });
        Ok(())
    }

    /// How many lines wait.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many lines wait longer than it takes to send one.
    pub fn stuck(&self, online: bool) -> usize {
        if online && matches!(self.turn, PendingRequest::Ours | PendingRequest::Theirs(0)) {
            0
        } else {
            self.len()
        }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What to say now, if there is something.
    pub fn next(&mut self, to: &str) -> Option<Value> {
        let line = self.lines.front()?;
        self.turn
            .take()
            .then(|| frame::send(&line.key, to, &line.body))
    }

    /// Whether an answer is that to the first line.
    pub fn awaits(&self, reference: &str) -> bool {
        self.lines.front().is_some_and(|line| line.key == reference)
    }

    /// The first line is stored, or never will be; answers it.
    pub fn settle(&mut self) -> Option<String> {
        self.turn = PendingRequest::Ours;
        self.lines.pop_front().map(|line| line.body)
    }
}

/// How far the conversation was shown, and how far the service knows.
#[derive(Debug, Default)]
pub struct Reading {
    shown: Option<u64>,
    told: Option<u64>,
    known: Option<u64>,
    /// Of what is told next.
    pub turn: PendingRequest,
}

impl Reading {
    /// It was shown up to here.
    pub fn shown(&mut self, seq: u64) {
        self.shown = self.shown.max(Some(seq));
    }

    /// Whether the service knows all.
    pub fn is_known(&self) -> bool {
        self.known >= self.shown
    }

    /// What to say now, if there is something: what is shown has arrived as well.
    pub fn next(&mut self, peer: &str) -> Vec<Value> {
        let Some(seq) = self.shown.filter(|_| !self.is_known()) else {
            return Vec::new();
        };
        if !self.turn.take() {
            return Vec::new();
        }
        self.told = Some(seq);
        let receipts = ["delivered", READ].map(|kind| frame::receipt(kind, peer, seq));
        receipts.into()
    }

    /// The service knows what it was told, or does not want to.
    pub fn settle(&mut self) {
        self.turn = PendingRequest::Ours;
        self.known = self.told;
    }
}

/// The receipt that comes last, and so the `ref` of the answer that counts.
pub const READ: &str = "read";
