//! Two processes, 200 clients that connect, drop and resume at random, and a Redis that is killed
//! three times.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::live::client_state::ClientState;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::replica::Replica;
use crate::harness::rng::Rng;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app_on};

const CLIENTS: usize = 200;
const USERS: usize = 60;
/// Number of clients that connect, read or catch up concurrently.
const CONCURRENCY: usize = 20;
const KILLS: usize = 3;
/// Minimum number of messages between two kills of Redis.
const BETWEEN: usize = 100;

struct Shared {
    addresses: [String; 2],
    stopped: AtomicBool,
    sent: AtomicUsize,
}

/// A client and its acknowledged messages by id.
struct Client {
    replica: Replica,
    rng: Rng,
    number: usize,
    sent: BTreeMap<String, Value>,
}

fn user(number: usize) -> String {
    format!("user-{}", number % USERS)
}

impl Client {
    async fn open(shared: &Shared, seed: u64, number: usize) -> Self {
        let mut rng = Rng::new(seed.wrapping_add(number as u64));
        let options = ConnectOptions::new(&shared.addresses[rng.below(2)]);
        Self {
            replica: Replica::open(options, &user(number)).await,
            rng,
            number,
            sent: BTreeMap::new(),
        }
    }

    /// A random peer of the client.
    fn peer(&mut self) -> String {
        let steps = [1, 2, 7, USERS - 1, USERS - 2, USERS - 7];
        user(self.number + *self.rng.one_of(&steps))
    }

    async fn act_randomly(&mut self, shared: &Shared) {
        while !shared.stopped.load(Ordering::Relaxed) {
            match self.rng.below(8) {
                0 => self.replica.disconnect(),
                1 => {
                    self.replica.disconnect();
                    let elsewhere = &shared.addresses[self.rng.below(2)];
                    self.replica.switch_to(elsewhere);
                }
                2 | 3 => self.send(shared).await,
                4 => self.read().await,
                _ => {
                    let millis = 20 + self.rng.below(200) as u64;
                    self.replica.follow(Duration::from_millis(millis)).await;
                }
            }
        }
    }

    async fn send(&mut self, shared: &Shared) {
        let (to, key) = (self.peer(), format!("{}-{}", self.number, self.sent.len()));
        let frame = json!({"type": "send", "to": to, "body": key, "idempotency_key": key});
        let message = self.replica.send_until_acked(&frame).await["message"].clone();
        assert_eq!(
            (&message["to"], &message["body"]),
            (&json!(to), &json!(key))
        );
        let id = message["id"].as_str().unwrap().to_owned();
        assert!(self.sent.insert(id, message).is_none(), "{key} twice");
        shared.sent.fetch_add(1, Ordering::Relaxed);
    }

    async fn read(&mut self) {
        let peer = self.peer();
        let Some(row) = self.replica.state.rows.get(&peer) else {
            return;
        };
        let frame = json!({"type": "read", "peer": peer, "seq": row["last_seq"]});
        self.replica.send_until_acked(&frame).await;
    }
}

/// Kills and restarts Redis while messages are sent.
async fn kill_redis_repeatedly(redis: &mut RedisServer, shared: &Shared) {
    for kill in 0..=KILLS {
        let goal = shared.sent.load(Ordering::Relaxed) + BETWEEN;
        let deadline = Instant::now() + Duration::from_secs(30);
        while shared.sent.load(Ordering::Relaxed) < goal {
            assert!(
                Instant::now() < deadline,
                "nothing is sent after {kill} deaths"
            );
            sleep(Duration::from_millis(20)).await;
        }
        if kill < KILLS {
            redis.kill();
            sleep(Duration::from_millis(200)).await;
            redis.restart();
        }
    }
    shared.stopped.store(true, Ordering::Relaxed);
}

/// The state of each user as the service returns it.
async fn expected(app: &TestApp) -> Vec<ClientState> {
    let reading = (0..USERS).map(|number| async move {
        let user = user(number);
        let reader = Replica::open(ConnectOptions::new(&app.address), &user);
        reader.await.state
    });
    stream::iter(reading).buffered(CONCURRENCY).collect().await
}

#[tokio::test]
async fn every_client_converges_under_random_failures() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("CHAOS_SEED").map_or(clock.as_secs(), |seed| seed.parse().unwrap());
    println!("CHAOS_SEED={seed}");
    let mut redis = RedisServer::durable();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    let shared = Shared {
        addresses: [apps[0].address.clone(), apps[1].address.clone()],
        stopped: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
    };
    let opening = (0..CLIENTS).map(|number| Client::open(&shared, seed, number));
    let mut clients: Vec<_> = stream::iter(opening).buffered(CONCURRENCY).collect().await;
    let living = join_all(
        clients
            .iter_mut()
            .map(|client| client.act_randomly(&shared)),
    );
    join(living, kill_redis_repeatedly(&mut redis, &shared)).await;

    let catching_up = clients.iter_mut().map(|client| client.replica.catch_up());
    let caught_up = stream::iter(catching_up).buffered(CONCURRENCY);
    caught_up.collect::<()>().await;
    let expected = expected(&apps[0]).await;
    let mut found = BTreeMap::new();
    for (number, state) in expected.iter().enumerate() {
        for message in state.messages.values().flat_map(BTreeMap::values) {
            // Both users have the message; it is counted for the sender.
            if message["from"] == user(number) {
                let id = message["id"].as_str().unwrap().to_owned();
                assert!(found.insert(id, message.clone()).is_none(), "{message}");
            }
        }
    }
    let mut sent = BTreeMap::new();
    for client in &mut clients {
        let state = &expected[client.number % USERS];
        client
            .replica
            .state
            .assert_equals(state, &client.replica.user);
        sent.append(&mut client.sent);
    }
    assert!(sent.len() >= BETWEEN * (KILLS + 1), "{}", sent.len());
    assert_eq!(found, sent, "each once, as it was acknowledged");
}
