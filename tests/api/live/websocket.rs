//! The WebSocket protocol: events, commands and errors.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::live::device::Device;
use crate::harness::live::presence::wait_for_presence_events;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{spawn_app, spawn_app_on};

/// Type and peer of an event.
fn summary(event: &Value) -> (&str, &str) {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    (text("type"), text("peer"))
}

#[tokio::test]
async fn a_message_reaches_every_device_of_both_users() {
    let app = spawn_app();
    let mut devices = Vec::new();
    for user in ["alice", "alice", "bob", "bob"] {
        devices.push(Device::connect(&app, user).await);
    }
    wait_for_presence_events(&app, 2).await;
    let sent = devices[0].send("bob", "hello").await;
    for (device, peer) in devices.iter_mut().zip(["bob", "bob", "alice", "alice"]) {
        let event = device.next().await;
        assert_eq!(summary(&event), ("message.created", peer));
        assert_eq!(event["message"], sent);
        assert_eq!(
            event["prev"], device.hello["cursor"],
            "dense from the hello on"
        );
        assert_eq!(event["last_seq"], 1);
        let unread = u64::from(peer == "alice");
        assert_eq!(event["unread_count"], unread);
        assert_eq!(event["total_unread_count"], unread);
        assert_eq!(event["unread_conversations"], unread);
    }
    assert_eq!(app.peek("bob", "alice").await["history"][0], sent);
}

#[tokio::test]
async fn every_change_of_a_conversation_is_published() {
    let app = spawn_app();
    let mut alice = Device::connect(&app, "alice").await;
    let mut bob = Device::connect(&app, "bob").await;
    wait_for_presence_events(&app, 2).await;
    app.send("alice", "bob", "one").await;
    app.edit("alice", "bob", 1, &json!({"body": "two"}))
        .await
        .json(200);
    app.react(Method::PUT, ["bob", "alice"], 1, "%F0%9F%91%8D")
        .await
        .json(200);
    app.mark_delivered("bob", "alice", 1).await;
    app.mark_read("bob", "alice", 1).await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.delete("alice", "bob", 1).await.json(200);
    let expected = [
        "message.created",
        "message.updated",
        "message.updated",
        "conversation.delivered",
        "conversation.read",
        "message.deleted",
    ];
    for device in [&mut alice, &mut bob] {
        let mut kinds = Vec::new();
        let mut prev = device.hello["cursor"].clone();
        for event in device
            .events_until(|event| event["type"] == "message.deleted")
            .await
        {
            assert_eq!(event["prev"], prev, "{event}");
            prev = event["cursor"].clone();
            // Only bob is told that he muted.
            if event["type"] != "conversation.changed" {
                kinds.push(event["type"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(kinds, expected);
    }
}

#[tokio::test]
async fn a_device_sends_and_marks_read_over_websocket() {
    let app = spawn_app();
    let mut alice = Device::connect(&app, "alice").await;
    let mut bob = Device::connect(&app, "bob").await;
    wait_for_presence_events(&app, 2).await;
    let send = json!({"type": "send", "to": "bob", "body": "hi", "idempotency_key": "once",
        "metadata": {"mood": "good"}});
    let first = alice.ask(&send).await;
    assert_eq!(
        (&first["type"], &first["replayed"]),
        (&json!("ack"), &json!(false))
    );
    assert_eq!(first["message"]["metadata"], json!({"mood": "good"}));
    let again = alice.ask(&send).await;
    assert_eq!(
        (&again["message"], &again["replayed"]),
        (&first["message"], &json!(true))
    );

    let delivered = bob
        .ask(&json!({"type": "delivered", "peer": "alice", "seq": 1}))
        .await;
    assert_eq!(delivered["conversation"]["unread_count"], 1);
    let read = bob
        .ask(&json!({"type": "read", "peer": "alice", "seq": 1}))
        .await;
    assert_eq!(read["conversation"]["unread_count"], 0);
    assert_eq!(read["conversation"]["read_seq"], 1);
    let told = alice
        .events_until(|event| event["type"] == "conversation.read")
        .await;
    let told: Vec<_> = told
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "message.created",
            "conversation.delivered",
            "conversation.read"
        ]
    );
    assert_eq!(alice.ask(&json!({"type": "ping"})).await["type"], "ack");
}

#[tokio::test]
async fn a_refused_frame_gets_a_problem_and_changes_nothing() {
    let app = spawn_app();
    app.flag(Method::PUT, "carol", "alice", "block").await;
    let mut alice = Device::connect(&app, "alice").await;
    let send = |to: &str, body: &str| json!({"type": "send", "to": to, "body": body});
    let cases = [
        (send("alice", "x"), 400, "INVALID_REQUEST", "/to"),
        (send("bob", ""), 400, "INVALID_REQUEST", "/body"),
        (send("carol", "x"), 403, "BLOCKED", ""),
        (
            json!({"type": "send", "from": "bob", "to": "carol", "body": "x"}),
            403,
            "FORBIDDEN",
            "",
        ),
        (
            json!({"type": "send", "to": "bob", "body": "x", "reply_to": 9}),
            422,
            "REPLY_TO_NOT_FOUND",
            "/reply_to",
        ),
        (
            json!({"type": "read", "peer": "alice", "seq": 1}),
            400,
            "INVALID_REQUEST",
            "/peer",
        ),
        (json!({"type": "dance"}), 400, "INVALID_REQUEST", "/type"),
    ];
    for (frame, status, code, pointer) in cases {
        let answer = alice.ask(&frame).await;
        let problem = &answer["problem"];
        assert_eq!(answer["type"], "error", "{frame}");
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(status), &json!(code)),
            "{frame}"
        );
        let named = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert_eq!(named, pointer, "{frame}");
        assert!(
            problem["request_id"]
                .as_str()
                .is_some_and(|id| id.len() == 36)
        );
    }
    alice.send_raw(Message::text("{not JSON")).await.unwrap();
    let answer = alice.next().await;
    assert_eq!(answer["problem"]["code"], "MALFORMED_JSON", "{answer}");
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn a_reused_idempotency_key_is_named_in_the_problem() {
    let app = spawn_app();
    let mut alice = Device::connect(&app, "alice").await;
    let send =
        |body: &str| json!({"type": "send", "to": "bob", "body": body, "idempotency_key": "k"});
    assert_eq!(alice.ask(&send("one")).await["type"], "ack");
    let refused = alice.ask(&send("two")).await;
    assert_eq!(refused["problem"]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(
        refused["problem"]["errors"][0]["pointer"],
        "/idempotency_key"
    );
}

#[tokio::test]
async fn a_returning_device_gets_missed_events_first() {
    let app = spawn_app();
    let mut bob = Device::connect(&app, "bob").await;
    app.send("alice", "bob", "heard").await;
    let cursor = bob.next().await["cursor"].as_str().unwrap().to_owned();
    drop(bob);
    for body in ["one", "two", "three"] {
        app.send("alice", "bob", body).await;
    }
    let mut bob = Device::connect_at(&app, "bob", &cursor).await;
    assert_eq!(bob.hello["cursor"], json!(cursor));
    assert_eq!(bob.hello["total_unread_count"], 4);
    app.send("alice", "bob", "four").await;
    let bodies = bob.events_until(|event| event["last_seq"] == 5).await;
    let bodies: Vec<_> = bodies
        .iter()
        .map(|event| event["message"]["body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_message_reaches_devices_of_another_process() {
    let redis = RedisServer::volatile();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    let mut bob = Device::connect(&one, "bob").await;
    other.send("alice", "bob", "over there").await;
    assert_eq!(bob.next().await["message"]["body"], "over there");
}

#[tokio::test]
async fn a_stopping_process_closes_with_1012_and_loses_nothing() {
    let redis = RedisServer::volatile();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    let mut bob = Device::connect(&one, "bob").await;
    let mut cursor = bob.hello["cursor"].as_str().unwrap().to_owned();
    other.send("alice", "bob", "before").await;
    let stopping = tokio::task::spawn_blocking(move || drop(one));
    let (code, reason) = bob.wait_closed().await;
    assert_eq!((code, reason.as_str()), (1012, "restart"));
    stopping.await.unwrap();
    other.send("alice", "bob", "after").await;
    for event in bob.events_within(Duration::from_millis(10)).await {
        cursor = event["cursor"].as_str().unwrap().to_owned();
    }
    let mut bob = Device::connect_at(&other, "bob", &cursor).await;
    bob.events_until(|event| event["message"]["body"] == "after")
        .await;
}
