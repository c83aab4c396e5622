//! A crowd of clients of several processes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::report::Report;
use super::truth::{Truth, is_deleted};
use crate::harness::live::client_state::ClientState;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::replica::Replica;
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;

/// Number of clients that connect, read or catch up concurrently.
const CONCURRENCY: usize = 20;

/// How long the service takes to repair what a failover took back.
const SETTLING: Duration = Duration::from_secs(10);

/// How many clients act for how many users.
#[derive(Clone, Copy)]
pub struct Size {
    pub clients: usize,
    pub users: usize,
}

/// What the clients share.
pub struct Shared {
    addresses: Vec<String>,
    size: Size,
    stopped: AtomicBool,
    /// Acknowledged messages.
    pub sent: AtomicUsize,
}

pub struct Crowd {
    pub shared: Shared,
    clients: Vec<Client>,
}

/// A client and its acknowledged messages by id.
struct Client {
    replica: Replica,
    rng: Rng,
    number: usize,
    sent: BTreeMap<String, Sent>,
}

/// A message as its author last saw it acknowledged.
struct Sent {
    message: Value,
    /// `None` once it is deleted.
    body: Option<String>,
}

fn user(number: usize, size: Size) -> String {
    format!("user-{}", number % size.users)
}

/// The seed of a run: the environment's, to repeat a run, or a new one.
pub fn seed() -> u64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("CHAOS_SEED").map_or(clock.as_secs(), |seed| seed.parse().unwrap());
    println!("CHAOS_SEED={seed}");
    seed
}

impl Crowd {
    /// Connects all clients to processes at these addresses.
    pub async fn open(addresses: Vec<String>, size: Size) -> Self {
        let shared = Shared {
            addresses,
            size,
            stopped: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
        };
        let seed = seed();
        let opening = (0..size.clients).map(|number| Client::open(&shared, seed, number));
        let clients = stream::iter(opening).buffered(CONCURRENCY).collect().await;
        Self { shared, clients }
    }

    /// Lets the clients act until the faults end.
    pub async fn act_during<T>(&mut self, faults: impl AsyncFnOnce(&Shared) -> T) -> T {
        let shared = &self.shared;
        let acting = self.clients.iter_mut().map(|client| client.act(shared));
        let faults = async {
            let outcome = faults(shared).await;
            shared.stopped.store(true, Ordering::Relaxed);
            outcome
        };
        join(faults, join_all(acting)).await.0
    }

    /// What each user sees, as the service returns it.
    async fn truths(&self) -> Vec<Truth> {
        let reading = (0..self.shared.size.users)
            .map(|number| Truth::read(&self.shared.addresses[0], user(number, self.shared.size)));
        stream::iter(reading).buffered(CONCURRENCY).collect().await
    }

    /// The report after the service had time to repair what a failover took back, which it does when an inbox
    /// is listed.
    pub async fn report_when_settled(&mut self, redis: &mut DirectConnection) -> Report {
        self.truths().await;
        sleep(SETTLING).await;
        self.report(redis).await
    }

    /// Compares everything, once all clients have caught up.
    pub async fn report(&mut self, redis: &mut DirectConnection) -> Report {
        let catching_up = self
            .clients
            .iter_mut()
            .map(|client| client.replica.catch_up());
        stream::iter(catching_up)
            .buffered(CONCURRENCY)
            .collect::<()>()
            .await;
        let truths = self.truths().await;
        let mut report = Report::default();
        for truth in &truths {
            truth.compare(redis, &mut report);
        }
        for client in &self.clients {
            let truth = &truths[client.number % self.shared.size.users];
            client.compare_device(&truth.state, &mut report);
            client.compare_sent(&truth.state, &mut report);
        }
        report
    }
}

impl Client {
    async fn open(shared: &Shared, seed: u64, number: usize) -> Self {
        let mut rng = Rng::new(seed.wrapping_add(number as u64));
        let options = ConnectOptions::new(rng.one_of::<String>(&shared.addresses));
        Self {
            replica: Replica::open(options, &user(number, shared.size)).await,
            rng,
            number,
            sent: BTreeMap::new(),
        }
    }

    /// A random peer of the client.
    fn peer(&mut self, size: Size) -> String {
        let steps = [1, 2, 7, size.users - 1, size.users - 2, size.users - 7];
        user(self.number + *self.rng.one_of(&steps), size)
    }

    /// Acts at random until the faults are over.
    async fn act(&mut self, shared: &Shared) {
        while !shared.stopped.load(Ordering::Relaxed) {
            match self.rng.below(12) {
                0 => self.replica.disconnect(),
                1 => {
                    self.replica.disconnect();
                    let elsewhere = self.rng.one_of(&shared.addresses);
                    self.replica.switch_to(elsewhere);
                }
                2..=4 => self.send(shared).await,
                5 => self.read(shared).await,
                6 => self.change_message().await,
                7 => self.mute(shared).await,
                _ => {
                    let millis = 20 + self.rng.below(200) as u64;
                    self.replica.follow(Duration::from_millis(millis)).await;
                }
            }
        }
    }

    async fn send(&mut self, shared: &Shared) {
        let to = self.peer(shared.size);
        let key = format!("{}-{}", self.number, self.sent.len());
        let frame = json!({"type": "send", "to": to, "body": key, "idempotency_key": key});
        let message = self.replica.send_until_acked(&frame).await["message"].clone();
        let id = message["id"].as_str().unwrap().to_owned();
        let sent = Sent {
            message,
            body: Some(key),
        };
        assert!(self.sent.insert(id, sent).is_none(), "acknowledged twice");
        shared.sent.fetch_add(1, Ordering::Relaxed);
    }

    async fn read(&mut self, shared: &Shared) {
        let peer = self.peer(shared.size);
        let Some(row) = self.replica.state.rows.get(&peer) else {
            return;
        };
        let frame = json!({"type": "read", "peer": peer, "seq": row["last_seq"]});
        self.replica.send_until_acked(&frame).await;
    }

    /// Edits or deletes one of the client's messages.
    async fn change_message(&mut self) {
        let ids: Vec<_> = self.sent.keys().cloned().collect();
        if ids.is_empty() {
            return;
        }
        let sent = self.sent.get_mut(self.rng.one_of(&ids)).unwrap();
        let Some(body) = &sent.body else {
            return;
        };
        let (peer, seq) = (sent.message["to"].as_str().unwrap(), &sent.message["seq"]);
        let path = format!("/conversations/{}/{peer}/messages/{seq}", self.replica.user);
        if self.rng.below(3) == 0 {
            self.replica.ask(Method::DELETE, &path, None).await;
            sent.body = None;
        } else {
            let edited = format!("{body}+");
            let edit = json!({"body": edited});
            self.replica.ask(Method::PATCH, &path, Some(&edit)).await;
            sent.body = Some(edited);
        }
    }

    /// Mutes or unmutes a conversation, of which the peer is not told.
    async fn mute(&mut self, shared: &Shared) {
        let methods = [Method::PUT, Method::DELETE];
        let method = self.rng.one_of(&methods).clone();
        let peer = self.peer(shared.size);
        let path = format!("/conversations/{}/{peer}/mute", self.replica.user);
        self.replica.ask(method, &path, None).await;
    }

    /// Compares what the client shows with the truth.
    fn compare_device(&self, truth: &ClientState, report: &mut Report) {
        let (user, held) = (&self.replica.user, &self.replica.state);
        if held.totals != truth.totals {
            let totals = format!("{user} shows {:?}: {:?}", held.totals, truth.totals);
            report.wrong_totals.push(totals);
        }
        for (peer, row) in &truth.rows {
            if held.rows.get(peer) != Some(row) {
                let shown = held.rows.get(peer);
                report
                    .wrong_rows
                    .push(format!("{user} shows {shown:?}: {row}"));
            }
            if held.messages.get(peer) != truth.messages.get(peer) {
                report
                    .wrong_texts
                    .push(format!("{user} shows another conversation with {peer}"));
            }
        }
        report.unknown += self.replica.unknown;
    }

    /// Looks for what was acknowledged to the client.
    fn compare_sent(&self, truth: &ClientState, report: &mut Report) {
        report.sends += self.sent.len();
        for (id, sent) in &self.sent {
            let peer = sent.message["to"].as_str().unwrap();
            let messages = truth.messages.get(peer).into_iter().flatten();
            let mut found = messages.map(|(_, m)| m).filter(|m| m["id"] == **id);
            let message = found.next();
            let is_as_sent = message.is_some_and(|m| {
                let has_body = match &sent.body {
                    Some(body) => m["body"] == **body,
                    None => is_deleted(m),
                };
                has_body && m["seq"] == sent.message["seq"]
            });
            if !is_as_sent || found.next().is_some() {
                report.lost.push(format!("{}: {message:?}", sent.message));
            }
        }
    }
}
