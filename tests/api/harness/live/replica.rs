//! A client that keeps everything its user can see, by doing what docs/live.md tells clients to do
//! and nothing else. What it then holds must be what the service answers when it is asked.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::http::response::ApiResponse;
use crate::harness::live::client_state::{ClientState, StateReader, TIMEOUT, row, text, totals};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Device, Received};

/// A client of one user.
pub struct Replica {
    pub user: String,
    /// Behind the last event that was processed.
    pub cursor: String,
    pub state: ClientState,
    /// How many events of each type were processed.
    pub event_counts: BTreeMap<String, usize>,
    /// How many events came that had come before.
    pub repeated: usize,
    /// How its connections ended, by code.
    pub close_counts: BTreeMap<u16, usize>,
    /// Where it listens; none while it is away.
    pub device: Option<Device>,
    options: ConnectOptions,
    /// The cursors of the events that were processed.
    processed: BTreeSet<String>,
}

impl Replica {
    /// Connects, then reads everything.
    pub async fn open(options: ConnectOptions, user: &str) -> Self {
        let options = options.user(user);
        let deadline = Instant::now() + TIMEOUT;
        let device = loop {
            match options.try_connect(None).await {
                Ok(Ok(device)) => break device,
                // A busy machine was too slow to ask.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
                Ok(Err(answer)) => panic!("not let in: {answer:?}"),
            }
            sleep(Duration::from_millis(50)).await;
        };
        let mut replica = Self {
            user: user.to_owned(),
            cursor: text(&device.hello, "cursor"),
            state: ClientState::default(),
            event_counts: BTreeMap::new(),
            repeated: 0,
            close_counts: BTreeMap::new(),
            device: Some(device),
            options,
            processed: BTreeSet::new(),
        };
        replica.state = replica.reader().all().await;
        replica
    }

    /// Goes away without a word.
    pub fn disconnect(&mut self) {
        self.device = None;
    }

    /// Goes to another process when it connects next, and asks there from now on.
    pub fn switch_to(&mut self, address: &str) {
        self.options = self.options.clone().at(address);
    }

    /// Listens for this long, and comes back with the cursor as often as it is let go.
    pub async fn follow(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            let left = deadline.duration_since(Instant::now());
            let Some(device) = &mut self.device else {
                self.reconnect().await;
                continue;
            };
            match device.receive(left).await {
                Received::Frame(event) => self.process(&event).await,
                Received::Closed(code, _) => {
                    *self.close_counts.entry(code).or_default() += 1;
                    self.disconnect();
                }
                Received::Nothing => (),
            }
        }
    }

    /// Listens until the stream holds nothing more.
    pub async fn catch_up(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            self.follow(Duration::from_millis(100)).await;
            let query = [("after", &*self.cursor), ("limit", "1")];
            let rest = self
                .reader()
                .ask(|| self.options.request("/events", &query))
                .await;
            if rest["events"] == json!([]) && self.device.is_some() {
                return;
            }
            assert!(Instant::now() < deadline, "{} waits: {rest}", self.user);
        }
    }

    /// Says something until it is acknowledged, and comes back as often as it takes.
    pub async fn send_until_acked(&mut self, frame: &Value) -> Value {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "{}: {frame}", self.user);
            let Some(device) = &mut self.device else {
                self.reconnect().await;
                continue;
            };
            match device.try_request(frame).await {
                Some(answer) if answer["type"] == "ack" => return answer,
                Some(refused) => {
                    assert_eq!(refused["problem"]["status"], 503, "{frame}: {refused}");
                    sleep(Duration::from_millis(100)).await;
                }
                None => self.disconnect(),
            }
        }
    }

    /// Listens while something else is done.
    pub async fn follow_while<T>(replicas: &mut [Self], other: impl Future<Output = T>) -> T {
        let done = Cell::new(false);
        let following = replicas.iter_mut().map(|replica| async {
            while !done.get() {
                replica.follow(Duration::from_millis(100)).await;
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
    async fn reconnect(&mut self) {
        match self.options.try_connect(Some(&self.cursor)).await {
            Ok(Ok(device)) => self.device = Some(device),
            Ok(Err(ApiResponse {
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
        *self.event_counts.entry(kind.clone()).or_default() += 1;
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
    pub async fn assert_matches_service(&self) {
        let truth = self.reader().all().await;
        self.state.assert_equals(&truth, &self.user);
    }

    fn reader(&self) -> StateReader<'_> {
        StateReader {
            options: &self.options,
            user: &self.user,
        }
    }
}
