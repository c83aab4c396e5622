//! A client that keeps a copy of everything its user can see. It does only what docs/live.md tells
//! clients to do, and its copy must equal what the service returns.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::http::response::ApiResponse;
use crate::harness::live::client_state::{ClientState, StateReader, TIMEOUT, row, text, totals};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Device, Received};

/// A client of one user.
pub struct Replica {
    pub user: String,
    /// The cursor of the last processed event.
    pub cursor: String,
    pub state: ClientState,
    /// Processed events by type.
    pub event_counts: BTreeMap<String, usize>,
    /// The number of events that were received again.
    pub repeated: usize,
    /// Sends whose reply was lost, or said that the outcome is unknown.
    pub unknown: usize,
    /// Closed connections by close code.
    pub close_counts: BTreeMap<u16, usize>,
    /// The connection; `None` while disconnected.
    pub device: Option<Device>,
    options: ConnectOptions,
    /// The cursors of processed events.
    processed: BTreeSet<String>,
}

impl Replica {
    /// Connects, then reads the whole state.
    pub async fn open(options: ConnectOptions, user: &str) -> Self {
        let options = options.user(user);
        let deadline = Instant::now() + TIMEOUT;
        let device = loop {
            match options.try_connect(None).await {
                Ok(Ok(device)) => break device,
                // A connection may time out on a busy machine.
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
            unknown: 0,
            close_counts: BTreeMap::new(),
            device: Some(device),
            options,
            processed: BTreeSet::new(),
        };
        replica.state = replica.reader().all().await;
        replica
    }

    /// Drops the connection without a close frame.
    pub fn disconnect(&mut self) {
        self.device = None;
    }

    /// Uses another process for requests and for the next connection.
    pub fn switch_to(&mut self, address: &str) {
        self.options = self.options.clone().at(address);
    }

    /// Processes events for this long and reconnects with the cursor whenever the connection
    /// closes.
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

    /// Processes events until the stream has no more.
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

    /// Sends a frame until it is acknowledged, and reconnects as often as needed.
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
                    let problem = &refused["problem"];
                    assert_eq!(problem["status"], 503, "{frame}: {refused}");
                    self.unknown += usize::from(problem["code"] == "OUTCOME_UNKNOWN");
                    sleep(Duration::from_millis(100)).await;
                }
                None => {
                    self.unknown += 1;
                    self.disconnect();
                }
            }
        }
    }

    /// Sends a request, which may be repeated, until it succeeds.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let request = || {
            let request = self.options.call(method.clone(), path, &[]);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        self.reader().ask(request).await
    }

    /// Processes events of several replicas while a future runs.
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

    /// Connects with the cursor; pauses if that fails.
    async fn reconnect(&mut self) {
        match self.options.try_connect(Some(&self.cursor)).await {
            Ok(Ok(device)) => self.device = Some(device),
            // 408: a busy machine was too slow to send the request.
            Ok(Err(ApiResponse {
                status: 408 | 429 | 503,
                ..
            }))
            | Err(_) => sleep(Duration::from_millis(50)).await,
            Ok(Err(answer)) => panic!("resuming is never refused: {answer:?}"),
        }
    }

    /// Applies an event of any transport.
    pub async fn process(&mut self, event: &Value) {
        let (kind, cursor) = (text(event, "type"), text(event, "cursor"));
        // After a failover, the cursor of a reset can be one that was processed before.
        let is_of_journal = !matches!(&*kind, "typing" | "presence.changed" | "reset");
        if is_of_journal && !self.processed.insert(cursor.clone()) {
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

    /// Applies an event to its conversation.
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
            // A cleared conversation leaves the inbox.
            None => {
                self.state.messages.remove(&peer);
                self.state.rows.remove(&peer);
            }
        }
    }

    /// Whether messages before that of the event are missing: for example of a conversation that
    /// left the inbox because the user was erased.
    fn is_behind(&self, peer: &str, event: &Value) -> bool {
        let held = self
            .state
            .messages
            .get(peer)
            .and_then(|m| m.keys().next_back());
        let seq = event["message"]["seq"].as_u64();
        seq.is_some_and(|seq| seq > held.copied().unwrap_or_default() + 1)
    }

    /// Compares the copy with what the service returns.
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
