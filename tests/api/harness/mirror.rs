//! A client that keeps everything its user can see, by doing what docs/live.md tells clients to do
//! and nothing else. What it then holds must be what the service answers when it is asked.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::door::Door;
use super::live::{Device, Heard};
use super::state::{PATIENCE, Reader, State, row, text, totals};

/// A client of one user.
pub struct Mirror {
    pub user: String,
    /// Behind the last event that was processed.
    pub cursor: String,
    pub state: State,
    /// How many events of each type were processed.
    pub told: BTreeMap<String, usize>,
    /// How many events came that had come before.
    pub repeated: usize,
    /// How its connections ended, by code.
    pub ends: BTreeMap<u16, usize>,
    /// Where it listens; none while it is away.
    pub device: Option<Device>,
    door: Door,
    /// The cursors of the events that were processed.
    processed: BTreeSet<String>,
}

impl Mirror {
    /// Connects, then reads everything.
    pub async fn open(door: Door, user: &str) -> Self {
        let door = door.user(user);
        let deadline = Instant::now() + PATIENCE;
        let device = loop {
            match door.knock(None).await {
                Ok(Ok(device)) => break device,
                // A busy machine was too slow to ask.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
                Ok(Err(answer)) => panic!("not let in: {answer:?}"),
            }
            sleep(Duration::from_millis(50)).await;
        };
        let mut mirror = Self {
            user: user.to_owned(),
            cursor: text(&device.hello, "cursor"),
            state: State::default(),
            told: BTreeMap::new(),
            repeated: 0,
            ends: BTreeMap::new(),
            device: Some(device),
            door,
            processed: BTreeSet::new(),
        };
        mirror.state = mirror.reader().all().await;
        mirror
    }

    /// Goes away without a word.
    pub fn leave(&mut self) {
        self.device = None;
    }

    /// Goes to another process when it connects next, and asks there from now on.
    pub fn move_to(&mut self, address: &str) {
        self.door = self.door.clone().moved(address);
    }

    /// Listens for this long, and comes back with the cursor as often as it is let go.
    pub async fn follow(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let left = deadline.duration_since(Instant::now());
            let Some(device) = &mut self.device else {
                self.come_back().await;
                continue;
            };
            match device.hear(left).await {
                Heard::Frame(event) => self.process(&event).await,
                Heard::Closed(code, _) => {
                    *self.ends.entry(code).or_default() += 1;
                    self.leave();
                }
                Heard::Nothing => (),
            }
        }
    }

    /// Listens until the stream holds nothing more.
    pub async fn catch_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.follow(Duration::from_millis(100)).await;
            let query = [("after", &*self.cursor), ("limit", "1")];
            let rest = self
                .reader()
                .ask(|| self.door.live("/events", &query))
                .await;
            if rest["events"] == json!([]) && self.device.is_some() {
                return;
            }
            assert!(Instant::now() < deadline, "{} waits: {rest}", self.user);
        }
    }

    /// Says something until it is acknowledged, and comes back as often as it takes.
    pub async fn insist(&mut self, frame: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "{}: {frame}", self.user);
            let Some(device) = &mut self.device else {
                self.come_back().await;
                continue;
            };
            match device.try_ask(frame).await {
                Some(answer) if answer["type"] == "ack" => return answer,
                Some(refused) => {
                    assert_eq!(refused["problem"]["status"], 503, "{frame}: {refused}");
                    sleep(Duration::from_millis(100)).await;
                }
                None => self.leave(),
            }
        }
    }

    /// Listens while something else is done.
    pub async fn follow_while<T>(mirrors: &mut [Self], other: impl Future<Output = T>) -> T {
        let done = Cell::new(false);
        let following = mirrors.iter_mut().map(|mirror| async {
            while !done.get() {
                mirror.follow(Duration::from_millis(100)).await;
            }
        });
        let other = async {
            let outcome = other.await;
            done.set(true);
            outcome
        };
        join(other, join_all(following)).await.0
    }

    /// Connects with the cursor; after a short pause, if that was of no avail.
    async fn come_back(&mut self) {
        match self.door.knock(Some(&self.cursor)).await {
            Ok(Ok(device)) => self.device = Some(device),
            Ok(Err(Answer {
                status: 429 | 503, ..
            }))
            | Err(_) => sleep(Duration::from_millis(50)).await,
            Ok(Err(answer)) => panic!("resuming is never refused: {answer:?}"),
        }
    }

    /// Does what an event asks for, wherever it was heard.
    pub async fn process(&mut self, event: &Value) {
        let (kind, cursor) = (text(event, "type"), text(event, "cursor"));
        let kept = !matches!(&*kind, "typing" | "presence.changed");
        if kept && !self.processed.insert(cursor.clone()) {
            self.repeated += 1;
            return;
        }
        *self.told.entry(kind.clone()).or_default() += 1;
        match &*kind {
            "typing" | "presence.changed" => (),
            "reset" => {
                self.state = self.reader().all().await;
                self.processed.clear();
            }
            _ => self.apply(&kind, event).await,
        }
        self.cursor = cursor;
    }

    /// Puts an event into its conversation.
    async fn apply(&mut self, kind: &str, event: &Value) {
        let peer = text(event, "peer");
        self.state.totals = totals(event);
        if kind == "conversation.changed" || self.is_behind(&peer, event) {
            let messages = self.reader().history(&peer).await;
            self.state.messages.insert(peer.clone(), messages);
        }
        let messages = self.state.messages.entry(peer.clone()).or_default();
        if let Some(message) = event.get("message") {
            messages.insert(message["seq"].as_u64().unwrap(), message.clone());
        }
        let last = messages.values().next_back().cloned();
        match last {
            Some(last) => {
                let row = row(&peer, event, &last);
                self.state.rows.insert(peer, row);
            }
            // Cleared, so it left the inbox.
            None => {
                self.state.messages.remove(&peer);
                self.state.rows.remove(&peer);
            }
        }
    }

    /// Whether there are messages before that of an event which it does not hold: of a conversation
    /// that is not in its inbox, because the user was erased, say.
    fn is_behind(&self, peer: &str, event: &Value) -> bool {
        let held = self
            .state
            .messages
            .get(peer)
            .and_then(|m| m.keys().next_back());
        let seq = event["message"]["seq"].as_u64();
        seq.is_some_and(|seq| seq > held.copied().unwrap_or_default() + 1)
    }

    /// Compares what it holds with what the service answers.
    pub async fn assert_equals_truth(&self) {
        let truth = self.reader().all().await;
        self.state.assert_equals(&truth, &self.user);
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            door: &self.door,
            user: &self.user,
        }
    }
}
