//! `Idempotency-Key`: a repeated send stores one message.

use std::collections::HashMap;
use std::time::Duration;

use redis::Commands;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::http::response::ApiResponse;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on, spawn_app_with};

fn message(body: &str) -> Value {
    json!({"from": "alice", "to": "bob", "body": body})
}

/// Checks that a response is a replay of the first.
#[track_caller]
fn assert_replay(answer: &ApiResponse, first: &ApiResponse) {
    assert_eq!((answer.status, &answer.text), (200, &first.text));
    assert_eq!(answer.header("idempotent-replayed"), "true");
    assert_eq!(answer.header("location"), first.header("location"));
}

/// The number of stored idempotency keys.
fn stored_keys(app: &TestApp) -> usize {
    let keys: Vec<String> = app.redis().keys("*:idempotency:*").unwrap();
    keys.len()
}

#[tokio::test]
async fn the_same_key_and_message_returns_the_first_message() {
    let app = spawn_app();
    let first = app.send_with_key("k", &message("hi")).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("idempotent-replayed"), "");
    app.send("bob", "alice", "meanwhile").await;
    for _ in 0..3 {
        assert_replay(&app.send_with_key("k", &message("hi")).await, &first);
    }
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["last_seq"], &page["unread_count"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn the_same_message_in_other_json_spelling_is_a_replay() {
    let app = spawn_app();
    let first = app
        .send_with_key(
            "k",
            &json!({"from": "alice", "to": "bob", "body": "é", "reply_to": null}),
        )
        .await;
    let spelt = r#"{ "body": "\u00e9", "to": "bob", "attachments": [], "from": "alice" }"#;
    let request = app.client.post(format!("{}/messages", app.address));
    let request = request.header("content-type", "application/json");
    let request = request.header("idempotency-key", "k").body(spelt);
    assert_replay(
        &ApiResponse::read(request.send().await.unwrap()).await,
        &first,
    );
}

#[tokio::test]
async fn another_message_with_the_same_key_is_refused() {
    let app = spawn_app();
    let with = |name: &str, value: Value| {
        let mut message = message("hi");
        message[name] = value;
        message
    };
    app.send("bob", "alice", "one").await;
    app.send_with_key("k", &message("hi")).await.json(201);
    let url = "https://example.com/";
    let others = [
        ("another body", with("body", json!("hi!"))),
        ("a reply", with("reply_to", json!(1))),
        ("an attachment", with("attachments", json!([{"url": url}]))),
        ("metadata", with("metadata", json!({}))),
        ("an expiry", with("expires_in", json!(60))),
    ];
    for (reason, other) in others {
        let answer = app.send_with_key("k", &other).await;
        assert_eq!(answer.status, 422, "{reason}");
        answer.problem(422, "IDEMPOTENCY_KEY_REUSED");
        answer.invalid_field("/header/idempotency-key");
    }
    assert_eq!(app.peek("bob", "alice").await["last_seq"], 2);
}

#[tokio::test]
async fn a_key_is_scoped_to_its_sender_and_conversation() {
    let app = spawn_app();
    for (from, to, seq) in [
        ("alice", "bob", 1),
        ("bob", "alice", 2),
        ("alice", "carol", 1),
        ("carol", "bob", 1),
    ] {
        let message = json!({"from": from, "to": to, "body": "hi"});
        let sent = app.send_with_key("k", &message).await.json(201);
        assert_eq!(sent["seq"], seq, "{from} to {to}");
    }
    // Keys that contain each other or the sender's name are different keys.
    for key in ["K", "k k", "k:k", "bob:k", "*", "k|1"] {
        app.send_with_key(key, &message("hi")).await.json(201);
    }
}

#[tokio::test]
async fn keys_have_1_to_255_printable_ascii_characters() {
    let app = spawn_app();
    let longest = "x".repeat(255);
    for key in ["k", "\"8e03978e\"", "a b", "~", &longest] {
        app.send_with_key(key, &message("hi")).await.json(201);
    }
    let too_long = "x".repeat(256);
    for key in ["", "é", "\t", "a\tb", &too_long] {
        let answer = app.send_with_key(key, &message("hi")).await;
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field("/header/idempotency-key");
    }
}

#[tokio::test]
async fn keys_are_remembered_for_a_day_and_only_when_given() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    assert_eq!(stored_keys(&app), 0);
    let to_nobody = json!({"from": "alice", "to": "bob", "body": "hi", "reply_to": 9});
    app.send_with_key("k", &to_nobody)
        .await
        .problem(422, "REPLY_TO_NOT_FOUND");
    assert_eq!(stored_keys(&app), 0, "a refusal is not remembered");
    app.send_with_key("k", &message("hi")).await.json(201);
    let mut redis = app.redis();
    let keys: Vec<String> = redis.keys("*:idempotency:*").unwrap();
    let seconds: i64 = redis.ttl(&keys[0]).unwrap();
    assert_eq!(keys.len(), 1);
    assert!((86_000..=86_400).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_replay_returns_the_message_as_it_is_now() {
    let app = spawn_app();
    app.send_with_key("k", &message("hi")).await.json(201);
    let edit = json!({"body": "hello"});
    let edited = app.edit("alice", "bob", 1, &edit).await.json(200);
    let again = app.send_with_key("k", &message("hi")).await;
    assert_eq!(again.json(200), edited);
    let tombstone = app.delete("alice", "bob", 1).await.json(200);
    let again = app.send_with_key("k", &message("hi")).await;
    assert_eq!(again.json(200), tombstone);
}

#[tokio::test]
async fn replaying_a_dropped_message_reports_it_and_sends_nothing() {
    let app = spawn_app_with(&["--fsync", "everysec", "--history-limit", "1"]);
    app.send_with_key("k", &message("hi")).await.json(201);
    app.send("alice", "bob", "the only one kept").await;
    let again = app.send_with_key("k", &message("hi")).await;
    again.problem(404, "MESSAGE_NOT_FOUND");
    assert_eq!(app.peek("bob", "alice").await["last_seq"], 2);
}

#[tokio::test]
async fn a_replay_succeeds_for_a_sender_blocked_since() {
    let app = spawn_app();
    let first = app.send_with_key("k", &message("hi")).await;
    app.flag(reqwest::Method::PUT, "bob", "alice", "block")
        .await;
    assert_replay(&app.send_with_key("k", &message("hi")).await, &first);
    let other = app.send_with_key("k2", &message("hi")).await;
    other.problem(403, "BLOCKED");
}

#[tokio::test]
async fn concurrent_sends_with_one_key_store_one_message() {
    let redis = RedisServer::volatile();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    for round in 1..=10_u64 {
        let mut sends = JoinSet::new();
        for n in 0..16 {
            let request = apps[n % 2]
                .client
                .post(format!("{}/messages", apps[n % 2].address))
                .header("idempotency-key", format!("round {round}"))
                .json(&message("hi"));
            sends.spawn(async move { ApiResponse::read(request.send().await.unwrap()).await });
        }
        let answers = sends.join_all().await;
        let count = |status| answers.iter().filter(|a| a.status == status).count();
        assert_eq!((count(201), count(200)), (1, 15));
        for answer in &answers {
            assert_eq!(answer.text, answers[0].text);
        }
        assert_eq!(apps[0].peek("bob", "alice").await["last_seq"], round);
    }
}

#[tokio::test]
async fn a_key_is_remembered_across_restarts_of_redis_and_service() {
    let mut redis = RedisServer::durable();
    let before = spawn_app_on(&redis.url());
    let first = before.send_with_key("k", &message("hi")).await;
    drop(before);
    redis.kill();
    redis.restart();
    let app = spawn_app_on(&redis.url());
    assert_replay(&app.send_with_key("k", &message("hi")).await, &first);
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 1);
}

const CLIENTS: usize = 1000;
const SENDERS: usize = 10;

/// Sends one message with a key until it is answered; the timeout is often too short.
async fn send_until_acked(client: reqwest::Client, addresses: [String; 2], number: usize) -> Value {
    let from = format!("sender-{}", number % SENDERS);
    let message = json!({"from": from, "to": "bob", "body": format!("{number}")});
    for attempt in 1.. {
        // Between zero and a third of a second, different each time.
        let within = Duration::from_millis((number * 7919 + attempt * 104729) as u64 % 300 + 1);
        let sent = client
            .post(format!("{}/messages", addresses[attempt % 2]))
            .header("idempotency-key", format!("key-{number}"))
            .timeout(within * u32::try_from(attempt.min(20)).unwrap())
            .json(&message)
            .send();
        let Ok(response) = sent.await else { continue };
        let status = response.status().as_u16();
        match (status, response.json().await) {
            (200 | 201, Ok(sent)) => return sent,
            (200 | 201, Err(_)) => {}
            (503, _) => tokio::time::sleep(within).await,
            (_, body) => panic!("{status} {body:?}"),
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_thousand_retrying_clients_send_each_message_once() {
    let mut redis = RedisServer::durable();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    let addresses = [apps[0].address.clone(), apps[1].address.clone()];
    let client = crate::harness::client();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(send_until_acked(client.clone(), addresses.clone(), number));
    }
    // Redis is killed and restarted meanwhile.
    let mut answered: Vec<Value> = Vec::new();
    while answered.len() < CLIENTS / 4 {
        answered.push(clients.join_next().await.unwrap().unwrap());
    }
    redis.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.restart();
    answered.extend(clients.join_all().await);

    let mut stored = HashMap::new();
    for sender in 0..SENDERS {
        let query = "peek=true&limit=200";
        let page = apps[0]
            .page("bob", &format!("sender-{sender}"), query)
            .await;
        assert_eq!(page["last_seq"], CLIENTS / SENDERS);
        assert_eq!(page["unread_count"], CLIENTS / SENDERS);
        for message in page["history"].as_array().unwrap() {
            let body = message["body"].as_str().unwrap().to_owned();
            assert_eq!(stored.insert(body, message.clone()), None, "sent twice");
        }
    }
    assert_eq!((answered.len(), stored.len()), (CLIENTS, CLIENTS));
    for sent in answered {
        assert_eq!(stored.get(sent["body"].as_str().unwrap()), Some(&sent));
    }
    let badge = [CLIENTS as u64, SENDERS as u64];
    assert_eq!(apps[1].badge("bob").await, badge);
}
