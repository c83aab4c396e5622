//! Redis stopped, busy, emptied and without scripts, while the service runs.

use std::time::{Duration, Instant};

use redis::cmd;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, seqs, spawn_app, spawn_app_on, spawn_durable_app};

/// The longest time a client waits for a response, whatever happens to Redis.
pub const MAX_WAIT: Duration = Duration::from_millis(2500);

/// Sends each kind of request and checks that each is answered in time.
async fn assert_all_unavailable(app: &TestApp) {
    let begun = Instant::now();
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    let (sent, read, peeked, ready, alive) = tokio::join!(
        app.post(&message),
        app.get("/conversations/bob/alice"),
        app.get("/conversations/bob/alice?peek=true"),
        app.get("/readyz"),
        app.get("/healthz"),
    );
    for answer in [&peeked, &ready] {
        answer.problem(503, "UNAVAILABLE");
    }
    for answer in [sent, read, peeked, ready] {
        assert_eq!(answer.status, 503, "{answer:?}");
        answer.any_problem();
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(alive.status, 200, "the process is running");
    assert!(begun.elapsed() < MAX_WAIT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stopped_redis_is_reported_in_time() {
    let mut redis = RedisServer::volatile();
    let app = spawn_app_on(&redis.url());
    app.read("bob", "alice").await;
    redis.kill();
    assert_all_unavailable(&app).await;
    assert_all_unavailable(&app).await;
}

#[tokio::test]
async fn a_hanging_redis_is_reported_in_time() {
    let redis = RedisServer::volatile();
    let app = spawn_app_on(&redis.url());
    app.send("alice", "bob", "one").await;
    redis.signal(Signal::STOP);
    assert_all_unavailable(&app).await;
    assert_all_unavailable(&app).await;
    redis.signal(Signal::CONT);
    let back = async || app.get("/readyz").await.status == 200;
    eventually("the service recovers", Duration::from_secs(2), back).await;
    app.send("alice", "bob", "last").await;
    let page = app.peek("bob", "alice").await;
    let last = page["last_seq"].as_u64().unwrap();
    assert_eq!(seqs(&page["history"]), (1..=last).rev().collect::<Vec<_>>());
}

/// Keeps Redis busy for three seconds; it reports `BUSY` after 50 ms.
fn block_redis(redis: &RedisServer) -> std::thread::JoinHandle<()> {
    let mut redis = redis.connect();
    let mut config = cmd("CONFIG");
    config
        .arg("SET")
        .arg("busy-reply-threshold")
        .arg("50")
        .exec(&mut redis)
        .unwrap();
    let script = "local function now() return tonumber(redis.call('TIME')[1]) end \
        local begun = now() while now() < begun + 4 do end";
    std::thread::spawn(move || cmd("EVAL").arg(script).arg("0").exec(&mut redis).unwrap())
}

#[tokio::test]
async fn a_busy_redis_is_reported_in_time_and_stores_nothing() {
    let redis = RedisServer::volatile();
    let app = spawn_app_on(&redis.url());
    app.send("alice", "bob", "one").await;
    let busy = block_redis(&redis);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_all_unavailable(&app).await;
    busy.join().unwrap();
    assert_eq!(app.send("alice", "bob", "two").await["seq"], 2);
    assert_eq!(app.read("bob", "alice").await["unread_count"], 2);
}

#[tokio::test]
async fn connections_cut_between_requests_cause_no_error() {
    let app = spawn_app();
    let mut redis = app.redis();
    for n in 1..=20 {
        cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .exec(&mut redis)
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(app.send("alice", "bob", "hi").await["seq"], n);
    }
}

#[tokio::test]
async fn an_emptied_redis_is_not_ready() {
    let app = spawn_app();
    cmd("FLUSHALL").exec(&mut app.redis()).unwrap();
    app.get("/readyz").await.problem(503, "UNAVAILABLE");
}

#[tokio::test]
async fn a_redis_replica_is_not_ready_and_refuses_messages() {
    // A private Redis: in a cluster no node becomes a replica in this way.
    let app = spawn_durable_app();
    app.send("alice", "bob", "hi").await;
    let mut replicaof = cmd("REPLICAOF");
    replicaof
        .arg("127.0.0.1")
        .arg("1")
        .exec(&mut app.redis())
        .unwrap();
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    app.post(&message).await.problem(503, "UNAVAILABLE");
    app.get("/readyz").await.problem(503, "UNAVAILABLE");
    replicaof = cmd("REPLICAOF");
    replicaof
        .arg("NO")
        .arg("ONE")
        .exec(&mut app.redis())
        .unwrap();
    assert_eq!(app.send("alice", "bob", "hi").await["seq"], 2);
}
