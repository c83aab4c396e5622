//! A master that sentinels watch: failovers, replicas that must confirm, and wrong settings.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use duologue::metrics::Metrics;
use duologue::model::Retention;
use duologue::store::Store;
use futures_util::future::{join, join_all};
use redis::Commands;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::harness::live::device::Device;
use crate::harness::store::redis_sentinel::{RedisSentinel, info, replicated, wait};
use crate::harness::store::tcp_server::{TcpServer, free_port};
use crate::harness::{TestApp, eventually, holds_within, keys, spawn_app_with};

/// Sends until it is told to stop. Returns the bodies that were acknowledged.
pub async fn send_until(app: &TestApp, stopped: &Cell<bool>) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    while !stopped.get() {
        let body = Uuid::now_v7().to_string();
        let message = json!({"from": "alice", "to": "bob", "body": body});
        if app.post(&message).await.status == 201 {
            acknowledged.insert(body);
        }
    }
    acknowledged
}

/// The bodies of all messages.
pub async fn stored(app: &TestApp) -> BTreeSet<String> {
    let mut bodies = BTreeSet::new();
    let mut query = "peek=true&limit=100".to_owned();
    loop {
        let page = app.page("bob", "alice", &query).await;
        let history = page["history"].as_array().unwrap().clone();
        bodies.extend(
            history
                .iter()
                .map(|message| message["body"].as_str().unwrap().to_owned()),
        );
        match history
            .last()
            .map(|message| message["seq"].as_u64().unwrap())
        {
            Some(oldest) if oldest > 1 => query = format!("peek=true&limit=100&before={oldest}"),
            _ => return bodies,
        }
    }
}

/// Sends a message until it is acknowledged: on a busy machine a new replica confirms the first change late.
pub async fn send_the_first(app: &TestApp) {
    let message = json!({"from": "alice", "to": "bob", "body": "the first"});
    let acknowledged =
        async || matches!(app.send_with_key("first", &message).await.status, 200 | 201);
    eventually("a replica confirms", FAILOVER, acknowledged).await;
}

const FAILOVER: Duration = Duration::from_secs(60);

/// Waits until a service is ready with this master.
pub async fn wait_until_used(app: &TestApp, master: &str) {
    let mut answer = String::new();
    let is_used = async || {
        let ready = app.get("/readyz").await;
        answer.clone_from(&ready.text);
        ready.status == 200 && ready.json(200)["redis"][0]["address"] == master
    };
    let is_used = holds_within(FAILOVER, is_used).await;
    assert!(is_used, "{master} is not used: {answer}");
}

/// Kills the master, waits for the failover, and starts the old master again, which believes to be one until
/// the sentinel tells it.
async fn fail_over_by_kill(redis: &mut RedisSentinel) {
    redis.master.kill();
    // Before that the sentinel would name the old master, if it returned.
    let failed_over = async || redis.has_failed_over();
    eventually("the sentinel names the replica", FAILOVER, failed_over).await;
    redis.master.restart();
    let follows = async || info(&redis.replica, "slave0").contains("state=online");
    eventually("the old master follows", FAILOVER, follows).await;
}

/// Sends during a failover. Returns the messages that were acknowledged, and those of them that are lost.
async fn sent_and_lost(redis: &mut RedisSentinel, app: &TestApp) -> (usize, Vec<String>) {
    send_the_first(app).await;
    let stopped = Cell::new(false);
    let senders = (0..4).map(|_| send_until(app, &stopped));
    let (acknowledged, ()) = join(join_all(senders), async {
        sleep(Duration::from_millis(500)).await;
        fail_over_by_kill(redis).await;
        let message = json!({"from": "alice", "to": "bob", "body": "the last"});
        let sent = async || app.post(&message).await.status == 201;
        eventually("sends are acknowledged", FAILOVER, sent).await;
        stopped.set(true);
    })
    .await;
    let stored = stored(app).await;
    let acknowledged: Vec<_> = acknowledged.into_iter().flatten().collect();
    let total = acknowledged.len();
    let lost = acknowledged
        .into_iter()
        .filter(|body| !stored.contains(body));
    (total, lost.collect())
}

#[tokio::test]
async fn a_service_follows_the_sentinels_to_the_new_master() {
    let mut redis = RedisSentinel::start();
    let app = spawn_app_with(&["--redis-url", &redis.url()]);
    // Redis replicates in the moment in which it answers, so nothing is lost here either.
    let (total, lost) = sent_and_lost(&mut redis, &app).await;
    assert!(lost.is_empty(), "{} of {total}: {lost:?}", lost.len());
    assert!(total > 100, "{total}");
}

#[tokio::test]
async fn with_replicas_a_failover_loses_no_acknowledged_message() {
    let mut redis = RedisSentinel::start();
    let app = spawn_app_with(&["--redis-url", &redis.url(), "--replicas", "1"]);
    let (total, lost) = sent_and_lost(&mut redis, &app).await;
    assert!(lost.is_empty(), "{} of {total}: {lost:?}", lost.len());
    assert!(total > 10, "{total}");
}

#[tokio::test]
async fn a_planned_failover_refuses_no_request() {
    let redis = RedisSentinel::start();
    let app = spawn_app_with(&["--redis-url", &redis.url()]);
    let mut device = Device::connect(&app, "bob").await;
    app.send("alice", "bob", "before").await;
    redis.hand_over();
    wait("the replica is promoted", || {
        info(&redis.replica, "role") == "master"
    });
    wait("the old master follows", || {
        info(&redis.master, "role") == "slave"
    });
    wait_until_used(&app, &redis.replica.address()).await;
    let last = app.send("alice", "bob", "after").await;
    device.events_until(|event| event["message"] == last).await;
    assert_eq!(app.read("bob", "alice").await["last_seq"], last["seq"]);
    let readiness = app.get("/readyz").await.json(200);
    assert_eq!(readiness["redis"][0]["address"], redis.replica.address());
}

#[tokio::test]
async fn a_planned_failover_is_followed_within_seconds() {
    let redis = RedisSentinel::start();
    let app = spawn_app_with(&["--redis-url", &redis.url()]);
    app.send("alice", "bob", "before").await;
    redis.hand_over();
    wait("the sentinel names the replica", || redis.has_failed_over());
    // The former master does not know it yet, and accepts messages that are lost.
    let [messages, ..] = keys("alice", "bob");
    let arrives = async || {
        app.send("alice", "bob", "after").await;
        // Nothing while it takes over.
        let newest: Option<String> = redis.replica.connect().lindex(&messages, 0).unwrap();
        newest.is_some_and(|message| message.contains("after"))
    };
    eventually("the new master has it", Duration::from_secs(5), arrives).await;
    assert_eq!(info(&redis.master, "role"), "master");
}

#[tokio::test]
async fn a_change_that_no_replica_confirms_has_an_unknown_outcome() {
    let (master, mut replica) = replicated();
    let app = spawn_app_with(&["--redis-url", &master.url(), "--replicas", "1"]);
    send_the_first(&app).await;
    assert_eq!(warnings(&app).await, Vec::<Value>::new());
    replica.kill();
    let message = json!({"from": "alice", "to": "bob", "body": "unconfirmed"});
    let refused = app.send_with_key("key", &message).await;
    let problem = refused.problem(503, "OUTCOME_UNKNOWN");
    assert!(
        problem["detail"].as_str().unwrap().contains("replicas"),
        "{problem}"
    );
    assert_eq!(
        app.peek("bob", "alice").await["last_seq"],
        2,
        "reading works"
    );
    let warned = warnings(&app).await;
    assert!(
        warned[0]
            .as_str()
            .unwrap()
            .contains("0 replicas are connected"),
        "{warned:?}"
    );
    replica.restart();
    let confirmed = async || app.send_with_key("key", &message).await.status == 200;
    eventually("a replica confirms", Duration::from_secs(10), confirmed).await;
    assert_eq!(
        app.peek("bob", "alice").await["last_seq"],
        2,
        "it is stored once"
    );
}

/// The warnings about replicas.
async fn warnings(app: &TestApp) -> Vec<Value> {
    let ready = app.get("/readyz").await.json(200);
    let all = ready["redis"][0]["warnings"].as_array().unwrap().clone();
    let about_replicas = |warning: &Value| warning.to_string().contains("DUOLOGUE_REPLICAS");
    all.into_iter().filter(about_replicas).collect()
}

/// Why a store cannot be reached.
async fn why_unreachable(url: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = Arc::new(Metrics::new());
    let store = Store::new(url, None, Retention::default(), metrics).unwrap();
    store.health().await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_unknown_service_of_the_sentinels_is_named() {
    let redis = RedisSentinel::start();
    let why = why_unreachable(&redis.url_of("other")).await;
    assert_eq!(
        why,
        "UNAVAILABLE: The sentinels name no working master of the service `other`."
    );
}

#[tokio::test]
async fn sentinels_that_cannot_be_reached_are_reported() {
    let url = format!("redis+sentinel://127.0.0.1:{}/mymaster", free_port());
    let why = why_unreachable(&url).await;
    assert!(
        why.contains("UNAVAILABLE: No sentinel leads to the master of `mymaster`: "),
        "{why}"
    );
}

#[tokio::test]
async fn sentinel_warnings_name_what_a_failover_can_lose() {
    let redis = RedisSentinel::start();
    let app = spawn_app_with(&["--redis-url", &redis.url()]);
    let ready = app.get("/readyz").await.json(200)["redis"][0].clone();
    assert_eq!(ready["replicas"], 1);
    assert_eq!(ready["role"], "master");
    assert_eq!(ready["address"], redis.master.address());
    assert!(
        ready["warnings"]
            .to_string()
            .contains("min-replicas-to-write is 0"),
        "{ready}"
    );
    assert!(
        !ready["warnings"].to_string().contains("cluster"),
        "{ready}"
    );
    redis.master.run("CONFIG SET min-replicas-to-write 1");
    assert_eq!(min_replicas_warnings(&app, &redis.master).await, [""; 0]);
}

/// The warnings about the two `min-replicas` settings of a master.
pub async fn min_replicas_warnings(app: &TestApp, master: &TcpServer) -> Vec<String> {
    let ready = app.get("/readyz").await.json(200);
    let mut nodes = ready["redis"].as_array().unwrap().iter();
    let node = nodes.find(|node| node["address"] == master.address());
    let all = node.unwrap()["warnings"].as_array().unwrap().iter();
    let all = all.map(|warning| warning.as_str().unwrap().to_owned());
    all.filter(|warning| warning.contains("min-replicas"))
        .collect()
}

#[tokio::test]
async fn warnings_say_what_the_min_replicas_settings_do() {
    let mut redis = RedisSentinel::start();
    let app = spawn_app_with(&["--redis-url", &redis.url()]);
    redis.master.run("CONFIG SET min-replicas-to-write 1");
    for (seconds, expected) in [
        ("60", Some("min-replicas-max-lag is 60: ")),
        ("0", Some("min-replicas-max-lag is 0: ")),
        ("10", None),
    ] {
        let set = format!("CONFIG SET min-replicas-max-lag {seconds}");
        redis.master.run(&set);
        let warnings = min_replicas_warnings(&app, &redis.master).await;
        assert_eq!(
            warnings.len(),
            usize::from(expected.is_some()),
            "{warnings:?}"
        );
        assert!(warnings.concat().starts_with(expected.unwrap_or_default()));
    }
    redis.replica.kill();
    let refuses = async || {
        min_replicas_warnings(&app, &redis.master)
            .await
            .concat()
            .contains("no message is accepted")
    };
    eventually("the warning", FAILOVER, refuses).await;
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    app.post(&message).await.problem(503, "UNAVAILABLE");
}
