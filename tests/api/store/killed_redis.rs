//! Redis killed while many clients send.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::redis_failures::MAX_WAIT;
use crate::harness::http::response::ApiResponse;
use crate::harness::store::redis_server::{RedisServer, pid_of, signal_pid};
use crate::harness::{TestApp, client, eventually, spawn_app_on, spawn_durable_app};

/// Number of clients that send at once.
const SENDERS: usize = 8;

/// The response to each message sent under load, by body.
type Log = HashMap<String, ApiResponse>;

/// Sends from many clients at once until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    senders: tokio::task::JoinSet<Log>,
}

impl Load {
    fn start(app: &TestApp) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            senders.spawn(send_until(stop.clone(), app.address.clone(), sender));
        }
        Self { stop, senders }
    }

    async fn finish(self) -> Log {
        self.stop.store(true, Ordering::Relaxed);
        let logs = self.senders.join_all().await;
        logs.into_iter().flatten().collect()
    }
}

async fn send_until(stop: Arc<AtomicBool>, address: String, sender: usize) -> Log {
    let (client, mut log) = (client(), Log::new());
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let body = format!("{sender}-{n}");
        let message = json!({"from": "alice", "to": "bob", "body": body});
        let begun = Instant::now();
        let sent = client
            .post(format!("{address}/messages"))
            .json(&message)
            .send()
            .await;
        let answer = ApiResponse::read(sent.unwrap()).await;
        assert!(
            begun.elapsed() < MAX_WAIT,
            "{:?} {answer:?}",
            begun.elapsed()
        );
        log.insert(body, answer);
    }
    log
}

/// Every message of the conversation, oldest first.
async fn history(app: &TestApp) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), Some(0));
    while let Some(seq) = after {
        let query = format!("peek=true&limit=200&after={seq}");
        let page = app.page("bob", "alice", &query).await;
        found.extend(page["history"].as_array().unwrap().iter().rev().cloned());
        after = page["next_after"].as_u64();
    }
    found
}

/// Every message answered with 201 is stored once and unchanged; others that are stored had an
/// unknown outcome; refused ones are not stored.
async fn assert_consistent(app: &TestApp, log: &Log) {
    let history = history(app).await;
    let unread = app.peek("bob", "alice").await["unread_count"]
        .as_u64()
        .unwrap();
    assert_eq!(unread, history.len() as u64, "each counted once");
    let mut stored = HashMap::new();
    for (index, message) in history.iter().enumerate() {
        assert_eq!(message["seq"], index + 1, "in order and without gaps");
        let body = message["body"].as_str().unwrap().to_owned();
        assert!(
            stored.insert(body, message).is_none(),
            "stored twice: {message}"
        );
    }
    for (body, answer) in log {
        let found = stored.remove(body);
        match answer.status {
            201 => assert_eq!(found, Some(&answer.json(201)), "acknowledged"),
            503 => {
                assert_eq!(answer.header("retry-after"), "1");
                let problem = answer.any_problem();
                let refused = problem["code"] == "UNAVAILABLE";
                assert!(refused || problem["code"] == "OUTCOME_UNKNOWN", "{problem}");
                assert!(
                    !refused || found.is_none(),
                    "refused and yet stored: {problem}"
                );
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert!(stored.is_empty(), "not sent by the test: {stored:?}");
}

fn count(log: &Log, code: &str) -> usize {
    log.values().filter(|a| a.text.contains(code)).count()
}

#[tokio::test]
async fn every_201_survives_killing_the_embedded_redis() {
    let app = spawn_durable_app();
    let load = Load::start(&app);
    for _ in 0..2 {
        let acknowledged = history(&app).await.len() + 50;
        let grown = async || history(&app).await.len() > acknowledged;
        eventually("sends succeed", Duration::from_secs(10), grown).await;
        signal_pid(pid_of(&app.redis_url), Signal::KILL);
        let begun = Instant::now();
        let back = async || app.get("/readyz").await.status == 200;
        eventually("the service recovers", Duration::from_secs(5), back).await;
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = load.finish().await;
    assert_consistent(&app, &log).await;
    let unknown = count(&log, "OUTCOME_UNKNOWN");
    assert!(
        unknown <= 2 * SENDERS,
        "more than the requests in flight: {unknown}"
    );
}

#[tokio::test]
async fn every_201_survives_killing_an_external_redis() {
    let mut redis = RedisServer::durable();
    let app = spawn_app_on(&redis.url());
    let load = Load::start(&app);
    tokio::time::sleep(Duration::from_millis(700)).await;
    redis.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    redis.restart();
    let begun = Instant::now();
    let back = async || app.get("/readyz").await.status == 200;
    eventually("the service recovers", Duration::from_secs(3), back).await;
    app.send("dave", "erin", "sending works again").await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = load.finish().await;
    assert_consistent(&app, &log).await;
    assert!(
        count(&log, "UNAVAILABLE") > 0,
        "the outage was longer than a request waits"
    );
    let unknown = count(&log, "OUTCOME_UNKNOWN");
    assert!(
        unknown <= SENDERS,
        "more than the requests in flight: {unknown}"
    );
}
