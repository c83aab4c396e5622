//! Live delivery while Redis fails: connections stay open, and clients receive every message
//! exactly once without doing anything.

use std::time::{Duration, Instant};

use redis::cmd;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Device, Received};
use crate::harness::live::event_stream::EventStream;
use crate::harness::live::replica::Replica;
use crate::harness::load_generator::LoadGenerator;
use crate::harness::store::outbox::is_in_two_steps;
use crate::harness::store::redis_proxy::RedisProxy;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app_on, spawn_app_with};

/// How long missed events may take to arrive after Redis is back.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// A device of bob.
async fn connect_bob(app: &TestApp) -> [Replica; 1] {
    [Replica::open(ConnectOptions::new(&app.address), "bob").await]
}

/// Checks that every message of alice is stored once and that bob's one connection received all of
/// them.
async fn assert_all_received(mut bob: Replica, sent: usize) {
    bob.catch_up().await;
    bob.assert_matches_service().await;
    assert!(
        bob.close_counts.is_empty(),
        "let go: {:?}",
        bob.close_counts
    );
    let messages = bob.state.messages["alice"].values();
    let mut bodies: Vec<_> = messages.map(|m| m["body"].as_str().unwrap()).collect();
    let mut expected: Vec<_> = (0..sent).map(|n| format!("alice {n}")).collect();
    bodies.sort_unstable();
    expected.sort_unstable();
    assert_eq!(bodies, expected);
    assert_eq!(bob.state.totals, [sent as u64, 1, 0]);
}

#[tokio::test]
async fn killing_redis_loses_no_message_and_no_connection() {
    let mut redis = RedisServer::durable();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    let mut bob = connect_bob(&one).await;
    let sender = LoadGenerator::start(&[&other.address, &one.address], "alice", "bob");
    Replica::follow_while(&mut bob, async {
        for _ in 0..3 {
            sender.wait_for_sent(30).await;
            redis.kill();
            redis.restart();
        }
        sender.wait_for_sent(30).await;
    })
    .await;
    let sent = sender.finish().await;
    let [bob] = bob;
    assert_all_received(bob, sent).await;
}

#[tokio::test]
async fn repeatedly_killed_subscriptions_lose_no_message() {
    let redis = RedisServer::volatile();
    let app = spawn_app_on(&redis.url());
    let mut bob = connect_bob(&app).await;
    let sender = LoadGenerator::start(&[&app.address], "alice", "bob");
    Replica::follow_while(&mut bob, async {
        for _ in 0..10 {
            sender.wait_for_sent(10).await;
            let killed = async || {
                let mut kill = cmd("CLIENT");
                kill.arg("KILL").arg("TYPE").arg("pubsub");
                kill.query::<u64>(&mut redis.connect()).unwrap() > 0
            };
            eventually("it listens", Duration::from_secs(10), killed).await;
        }
    })
    .await;
    let sent = sender.finish().await;
    let [bob] = bob;
    assert_all_received(bob, sent).await;
}

/// Waits for an event that satisfies a condition, within the allowed time.
async fn wait_for_event(
    what: &str,
    since: Instant,
    mut last: impl AsyncFnMut() -> Received,
) -> Value {
    match last().await {
        Received::Frame(event) => {
            let took = since.elapsed();
            assert!(took < TIME_LIMIT, "{what}: {took:?}");
            event
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn missed_events_arrive_within_5_s_of_redis_coming_back() {
    let redis = RedisServer::volatile();
    let proxy = RedisProxy::to(&redis);
    let (app, other) = (spawn_app_on(&proxy.url()), spawn_app_on(&redis.url()));
    let mut device = Device::connect(&app, "bob").await;
    let mut stream = EventStream::open(&app, "bob", None).await;
    for _ in 0..2 {
        proxy.block();
        for n in 0..10 {
            other.send("alice", "bob", &n.to_string()).await;
        }
        let away = async || app.get("/readyz").await.status == 503;
        eventually("Redis is away", Duration::from_secs(10), away).await;
        proxy.unblock();
        let since = Instant::now();
        for n in 0..10 {
            let by_device =
                wait_for_event("socket", since, async || device.receive(TIME_LIMIT).await).await;
            let by_stream =
                wait_for_event("stream", since, async || stream.receive(TIME_LIMIT).await).await;
            assert_eq!(by_device, by_stream);
            assert_eq!(by_device["message"]["body"], n.to_string());
        }
    }
    let begin = device.hello["cursor"].as_str().unwrap();
    let polled = app.get(&format!("/events?user=bob&after={begin}")).await;
    let polled = polled.json(200);
    assert_eq!(polled["events"].as_array().unwrap().len(), 20);
    // The events arrive by subscription again, and not only by reading the journal.
    let begun = Instant::now();
    other.send("alice", "bob", "live").await;
    wait_for_event("live", begun, async || device.receive(TIME_LIMIT).await).await;
}

#[tokio::test]
async fn a_silent_subscription_is_detected_and_replaced() {
    let redis = RedisServer::volatile();
    let proxy = RedisProxy::to(&redis);
    let (app, other) = (spawn_app_on(&proxy.url()), spawn_app_on(&redis.url()));
    let mut device = Device::connect(&app, "bob").await;
    for n in 0..2 {
        assert_eq!(proxy.drop_pubsub(), 1, "one connection listens");
        let begun = Instant::now();
        other.send("alice", "bob", &n.to_string()).await;
        let event = wait_for_event("told", begun, async || device.receive(TIME_LIMIT).await).await;
        assert_eq!(event["last_seq"], n + 1);
        // The service has subscribed again; before that there is no new subscription to silence.
        let again = async || {
            other.send("carol", "bob", "again").await;
            matches!(
                device.receive(Duration::from_millis(20)).await,
                Received::Frame(_)
            )
        };
        eventually("it hears", Duration::from_secs(10), again).await;
    }
}

#[tokio::test]
async fn a_hanging_redis_closes_no_connection() {
    let redis = RedisServer::volatile();
    let url = redis.url();
    // The heartbeat is shorter than the timeout of a frame.
    let hasty = spawn_app_with(&["--redis-url", &url, "--heartbeat=1"]);
    let mut alice = Device::connect(&hasty, "alice").await;
    let app = spawn_app_on(&url);
    let mut bob = Device::connect(&app, "bob").await;
    redis.signal(Signal::STOP);
    let send = json!({"type": "send", "to": "bob", "body": "hi", "idempotency_key": "k"});
    for _ in 0..2 {
        let answer = alice.ask(&send).await;
        assert_unavailable(&answer);
        assert!(bob.events_within(Duration::ZERO).await.is_empty());
    }
    redis.signal(Signal::CONT);
    assert_succeeds_once(&app, &mut alice, &mut bob, &send).await;
}

#[tokio::test]
async fn a_send_refused_during_an_outage_succeeds_once_when_retried() {
    let mut redis = RedisServer::durable();
    let app = spawn_app_on(&redis.url());
    let mut alice = Device::connect(&app, "alice").await;
    let mut bob = Device::connect(&app, "bob").await;
    redis.kill();
    let send = json!({"type": "send", "to": "bob", "body": "hi", "idempotency_key": "k"});
    for frame in [
        &send,
        &json!({"type": "read", "peer": "bob", "seq": 1}),
        &send,
    ] {
        let answer = alice.ask(frame).await;
        assert_unavailable(&answer);
    }
    redis.restart();
    assert_succeeds_once(&app, &mut alice, &mut bob, &send).await;
}

#[track_caller]
fn assert_unavailable(answer: &Value) {
    assert_eq!(answer["type"], "error");
    assert_eq!(answer["problem"]["status"], 503, "{answer}");
    let code = answer["problem"]["code"].as_str().unwrap();
    assert!(["UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&code), "{code}");
}

/// Repeats the send until it is acknowledged; it was stored once.
async fn assert_succeeds_once(app: &TestApp, alice: &mut Device, bob: &mut Device, send: &Value) {
    let mut message = Value::Null;
    let acknowledged = async || {
        let answer = alice.ask(send).await;
        message = answer["message"].clone();
        answer["type"] == "ack"
    };
    eventually("it is taken", Duration::from_secs(10), acknowledged).await;
    assert_eq!(alice.ask(send).await["replayed"], true);
    app.send("alice", "bob", "the end").await;
    if is_in_two_steps() {
        // Inboxes follow the message that was sent without a reply later, and devices read the conversation anew.
        let counted = async || app.badge("bob").await == [2, 1];
        return eventually("both count", Duration::from_secs(10), counted).await;
    }
    let is_end = |event: &Value| event["message"]["body"] == "the end";
    for device in [alice, bob] {
        let mut told = device.events_until(is_end).await;
        told.retain(|event| event["type"] == "message.created");
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0]["message"], message);
    }
    assert_eq!(app.badge("bob").await, [2, 1]);
}
