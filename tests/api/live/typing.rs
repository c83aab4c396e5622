//! Typing: published to the peer at most once a second, and never stored.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::auth::secured_app::{spawn_secured_app_with, token};
use crate::harness::live::device::Device;
use crate::harness::live::presence::wait_for_presence_events;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};

/// Reports over HTTP that a user is typing.
async fn report_typing(app: &TestApp, user: &str, peer: &str) {
    let path = format!("/conversations/{user}/{peer}/typing");
    assert_eq!(app.request(Method::POST, &path).await.status, 204);
}

/// The events of a device before the message that marks the end.
async fn events_until_message(device: &mut Device) -> Vec<Value> {
    let mut received = device
        .events_until(|event| event["message"]["body"] == "the end")
        .await;
    received.pop();
    received
}

#[tokio::test]
async fn typing_reaches_every_device_of_the_peer_only() {
    let redis = RedisServer::volatile();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    one.send("bob", "alice", "hi").await;
    let mut alice = Device::connect(&one, "alice").await;
    wait_for_presence_events(&one, 1).await;
    let mut bobs = [
        Device::connect(&one, "bob").await,
        Device::connect(&other, "bob").await,
    ];
    alice
        .events_until(|event| event["type"] == "presence.changed")
        .await;
    let answer = alice.ask(&json!({"type": "typing", "peer": "bob"})).await;
    assert_eq!(answer["type"], "ack");
    for bob in &mut bobs {
        let told = bob.next().await;
        let place = &bob.hello["cursor"];
        assert_eq!(
            told,
            json!({"type": "typing", "cursor": place, "peer": "alice"})
        );
    }
    report_typing(&other, "bob", "alice").await;
    assert_eq!(alice.next().await["peer"], "bob", "each way by itself");
    one.send("alice", "bob", "the end").await;
    assert_eq!(events_until_message(&mut alice).await, [] as [Value; 0]);
    for bob in &mut bobs {
        assert_eq!(events_until_message(bob).await, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn typing_is_published_at_most_once_a_second() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    app.send("carol", "bob", "hi").await;
    let mut bob = Device::connect(&app, "bob").await;
    let begun = Instant::now();
    for _ in 0..10 {
        report_typing(&app, "alice", "bob").await;
        report_typing(&app, "carol", "bob").await;
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    app.send("alice", "bob", "the end").await;
    let received = events_until_message(&mut bob).await;
    for peer in ["alice", "carol"] {
        let told = received
            .iter()
            .filter(|event| event["peer"] == peer)
            .count();
        assert!((1..=1 + seconds).contains(&told), "{told} in {seconds} s");
    }
    let again = async || {
        report_typing(&app, "alice", "bob").await;
        !bob.events_within(Duration::from_millis(1)).await.is_empty()
    };
    eventually("it is told again", Duration::from_secs(10), again).await;
}

#[tokio::test]
async fn typing_reaches_no_stranger_and_is_refused_if_blocked() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    for user in ["alice", "mallory"] {
        app.flag(Method::PUT, "bob", user, "block").await;
    }
    let mut alice = Device::connect(&app, "alice").await;
    wait_for_presence_events(&app, 1).await;
    let mut bob = Device::connect(&app, "bob").await;
    for user in ["alice", "mallory"] {
        let path = format!("/conversations/{user}/bob/typing");
        let refused = app.request(Method::POST, &path).await;
        refused.problem(403, "BLOCKED");
    }
    report_typing(&app, "stranger", "bob").await;
    let frame = json!({"type": "typing", "peer": "bob"});
    assert_eq!(alice.ask(&frame).await["problem"]["code"], "BLOCKED");
    report_typing(&app, "bob", "alice").await;
    app.send("carol", "bob", "the end").await;
    assert_eq!(events_until_message(&mut bob).await, [] as [Value; 0]);
    // The blocking user's own typing is still published.
    let received = alice.events_until(|event| event["type"] == "typing").await;
    assert_eq!(received.last().unwrap()["peer"], "bob");
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    assert_eq!(alice.ask(&frame).await["type"], "ack");
    bob.events_until(|event| event["type"] == "typing").await;
    assert!(
        !app.contents().keys().any(|key| key.contains("stranger")),
        "and nothing is left of it"
    );
}

#[tokio::test]
async fn typing_is_not_replayed_to_later_connections() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let bob = Device::connect(&app, "bob").await;
    let place = bob.hello["cursor"].as_str().unwrap().to_owned();
    bob.close().await;
    report_typing(&app, "alice", "bob").await;
    let mut bob = Device::connect_at(&app, "bob", &place).await;
    app.send("alice", "bob", "the end").await;
    assert_eq!(events_until_message(&mut bob).await, [] as [Value; 0]);
}

#[tokio::test]
async fn typing_requires_the_own_user_and_another_peer() {
    let app = spawn_app();
    let path = |user: &str, peer: &str| format!("/conversations/{user}/{peer}/typing");
    let refused = app.request(Method::POST, &path("bob", "bob")).await;
    assert_eq!(refused.status, 400);
    refused.invalid_field("/path/peer");
    let refused = app.request(Method::POST, &path("bob", "al%20ice")).await;
    refused.invalid_field("/path/peer");
    let mut bob = Device::connect(&app, "bob").await;
    for (frame, pointer) in [
        (json!({"type": "typing", "peer": "bob"}), "/peer"),
        (json!({"type": "typing", "peer": ""}), "/peer"),
        (json!({"type": "typing"}), "/peer"),
        (json!({"type": "typing", "peer": "alice", "to": 1}), "/to"),
    ] {
        let answer = bob.ask(&frame).await;
        assert_eq!(answer["problem"]["errors"][0]["pointer"], pointer);
    }
    let app = spawn_secured_app_with(&[]);
    let bearer = format!("Bearer {}", token("alice"));
    let bearer = [("authorization", &*bearer)];
    let forged = app.call("POST", &path("bob", "alice"), &bearer, None).await;
    forged.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn databases_of_one_redis_share_no_events() {
    let redis = RedisServer::volatile();
    let first = spawn_app_on(&redis.url());
    let second = spawn_app_on(&format!("{}?db=1", redis.url()));
    for app in [&first, &second] {
        app.send("alice", "bob", "hi").await;
        app.send("bob", "alice", "hi").await;
    }
    let mut other = Device::connect(&second, "bob").await;
    let mut device = Device::connect(&first, "bob").await;
    // Alice comes online and types on the first service only.
    let alice = Device::connect(&first, "alice").await;
    report_typing(&first, "alice", "bob").await;
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        kinds.push(device.next().await["type"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(kinds, ["presence.changed", "typing"]);
    drop(alice);
    second.send("alice", "bob", "the end").await;
    assert_eq!(events_until_message(&mut other).await, [Value::Null; 0]);
}
