//! `expires_in`: messages that become tombstones at a time.

mod imports;
mod late;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::{Pair, UserId, rfc3339};
use duologue::store::Keys;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::conversations::message_path;
use crate::harness::live::device::Device;
use crate::harness::live::resume::kinds;
use crate::harness::{TestApp, eventually, keys, spawn_app, spawn_app_with};

/// How long anything that must follow within 2 s may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a message from alice to bob that expires.
pub async fn send_expiring(app: &TestApp, body: &str, expires_in: u64) -> Value {
    let message = json!({"from": "alice", "to": "bob", "body": body, "expires_in": expires_in});
    app.post(&message).await.json(201)
}

/// The tombstone of a message that expired.
pub fn tombstone(sent: &Value) -> Value {
    let mut tombstone = json!({"body": "", "deleted_at": sent["expires_at"]});
    for name in ["seq", "id", "from", "to", "sent_at", "expires_at"] {
        tombstone[name] = sent[name].clone();
    }
    tombstone
}

fn time(of: &Value) -> DateTime<Utc> {
    of.as_str().unwrap().parse().unwrap()
}

/// Waits until the time of a message is over.
pub async fn outlive(message: &Value) {
    let left = time(&message["expires_at"]) - Utc::now() + TimeDelta::milliseconds(20);
    sleep(left.to_std().unwrap_or_default()).await;
}

/// Waits until a message is stored as a tombstone.
pub async fn wait_until_deleted(app: &TestApp, seq: u64) {
    let deleted = async || {
        let stored: Vec<String> = stored(app);
        let start = format!(r#"{{"seq":{seq},"from":"alice","deleted_at":"#);
        stored.iter().any(|message| message.starts_with(&start))
    };
    eventually("the message is deleted", PATIENCE, deleted).await;
}

/// The messages of alice and bob as Redis has them.
pub fn stored(app: &TestApp) -> Vec<String> {
    let [messages, ..] = keys("alice", "bob");
    app.redis().lrange(messages, 0, -1).unwrap()
}

/// The schedule of the partition of alice and bob.
pub fn schedule() -> String {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    Keys::new().schedule(Pair::of(&user("alice"), &user("bob")).as_str())
}

/// What is in that schedule.
pub fn scheduled(app: &TestApp) -> Vec<String> {
    app.redis().zrange(schedule(), 0, -1).unwrap()
}

#[tokio::test]
async fn an_expired_message_becomes_a_tombstone_for_both_users() {
    let app = spawn_app();
    let mut devices = Vec::new();
    for user in ["alice", "bob"] {
        devices.push(Device::connect(&app, user).await);
    }
    let message = json!({
        "from": "alice", "to": "bob", "body": "secret", "metadata": {"a": 1}, "expires_in": 1,
        "attachments": [{"url": "https://example.com/"}],
    });
    let sent = app.post(&message).await.json(201);
    let lasts = time(&sent["expires_at"]) - time(&sent["sent_at"]);
    assert_eq!(lasts, TimeDelta::seconds(1));
    assert_eq!(sent.get("expires_in"), None);
    let reply = json!({"from": "alice", "to": "bob", "body": "two", "reply_to": 1});
    let reply = app.post(&reply).await.json(201);
    assert_eq!(app.badge("bob").await, [2, 1]);
    for device in &mut devices {
        let events = device.events_until(|event| event["type"] == "message.deleted");
        let events = events.await;
        assert_eq!(events[0]["message"], sent, "the event has the time too");
        let deleted = events.last().unwrap();
        assert_eq!(deleted["message"], tombstone(&sent));
        let now = rfc3339(Utc::now());
        assert!(
            now.as_str() >= sent["expires_at"].as_str().unwrap(),
            "not before"
        );
    }
    assert_eq!(app.badge("bob").await, [1, 1]);
    for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
        let page = app.peek(user, peer).await;
        assert_eq!(page["history"], json!([reply, tombstone(&sent)]), "{user}");
    }
    assert_eq!(app.peek("bob", "alice").await["unread"], json!([reply]));
    assert_eq!(scheduled(&app), [""; 0]);
}

#[tokio::test]
async fn expires_in_is_1_to_7776000_seconds() {
    let app = spawn_app();
    let mut device = Device::connect(&app, "alice").await;
    let send = |expires_in: &Value| json!({"from": "alice", "to": "bob", "body": "hi", "expires_in": expires_in});
    for wrong in [
        json!(0),
        json!(-1),
        json!(7_776_001),
        json!(1.5),
        json!("1"),
        json!(true),
    ] {
        let refused = app.post(&send(&wrong)).await;
        let refused = refused.problem(400, "INVALID_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], "/expires_in", "{wrong}");
        let mut command = send(&wrong);
        command["type"] = json!("send");
        let refused = device.ask(&command).await;
        assert_eq!(refused["problem"]["errors"][0]["pointer"], "/expires_in");
    }
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 0);
    for right in [json!(1), json!(60.0), json!(7_776_000)] {
        let sent = app.post(&send(&right)).await.json(201);
        let lasts = time(&sent["expires_at"]) - time(&sent["sent_at"]);
        assert_eq!(json!(lasts.num_seconds()).as_f64(), right.as_f64());
    }
    let sent = app.post(&send(&Value::Null)).await.json(201);
    assert_eq!(sent.get("expires_at"), None);
    let mut command = send(&json!(60));
    command["type"] = json!("send");
    let answer = device.ask(&command).await;
    assert!(answer["message"]["expires_at"].is_string(), "{answer}");
}

#[tokio::test]
async fn edits_keep_the_time_and_deletions_need_none() {
    let app = spawn_app();
    for body in ["edited", "deleted"] {
        send_expiring(&app, body, 3).await;
    }
    let edited = app
        .edit("alice", "bob", 1, &json!({"body": "secret"}))
        .await;
    let edited = edited.json(200);
    let deleted = app.delete("alice", "bob", 2).await.json(200);
    assert!(deleted["deleted_at"].as_str() < deleted["expires_at"].as_str());
    assert_eq!(scheduled(&app).len(), 1, "only the first one is left");
    outlive(&edited).await;
    wait_until_deleted(&app, 1).await;
    let page = app.peek("bob", "alice").await;
    assert_eq!(page["history"], json!([deleted, tombstone(&edited)]));
}

#[tokio::test]
async fn read_marks_and_counts_agree_over_expired_messages() {
    let app = spawn_app();
    app.send("alice", "bob", "one").await;
    let expiring = send_expiring(&app, "secret", 1).await;
    app.send("alice", "bob", "three").await;
    app.mark_read("bob", "alice", 1).await;
    outlive(&expiring).await;
    wait_until_deleted(&app, 2).await;
    assert_eq!(app.badge("bob").await, [1, 1]);
    assert_eq!(app.mark_read("bob", "alice", 2).await["unread_count"], 1);
    assert_eq!(app.mark_unread("bob", "alice", 2).await["unread_count"], 1);
    assert_eq!(app.mark_unread("bob", "alice", 1).await["unread_count"], 2);
    let read = send_expiring(&app, "secret", 1).await;
    app.read("bob", "alice").await;
    outlive(&read).await;
    wait_until_deleted(&app, 4).await;
    assert_eq!(app.badge("bob").await, [0, 0], "it was read");
}

#[tokio::test]
async fn messages_expire_for_blockers_and_on_cleared_sides() {
    let app = spawn_app();
    let sent = send_expiring(&app, "secret", 1).await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    app.clear("alice", "bob").await;
    let mut alice = Device::connect(&app, "alice").await;
    outlive(&sent).await;
    wait_until_deleted(&app, 1).await;
    let page = app.peek("bob", "alice").await;
    assert_eq!(page["history"], json!([tombstone(&sent)]));
    assert_eq!(page["unread_count"], 0);
    let state = app.flag(Method::DELETE, "bob", "alice", "block").await;
    assert_eq!(state["unread_count"], 0, "nothing comes back");
    assert_eq!(app.badge("bob").await, [0, 0]);
    assert_eq!(app.peek("alice", "bob").await["history"], json!([]));
    let events = alice.events_within(Duration::from_millis(200)).await;
    assert!(!kinds(&events).contains(&"message.deleted"), "{events:?}");
}

#[tokio::test]
async fn an_entry_whose_message_is_gone_harms_no_other() {
    let app = spawn_app();
    let first = send_expiring(&app, "secret", 60).await;
    let entry = scheduled(&app);
    for user in ["alice", "bob"] {
        let path = format!("/users/{user}");
        app.request(Method::DELETE, &path).await.json(200);
    }
    assert_eq!(scheduled(&app), [""; 0], "nothing is left of them");
    let second = app.send("alice", "bob", "new").await;
    assert_eq!(second["seq"], first["seq"]);
    let third = send_expiring(&app, "also new", 60).await;
    // As if a process that claimed it before had come back late.
    let mut redis = app.redis();
    let _: usize = redis.zadd(schedule(), &entry[0], 1).unwrap();
    let other = entry[0].replace(",1,", ",2,");
    let _: usize = redis.zadd(schedule(), other, 1).unwrap();
    let only_the_new_one = async || scheduled(&app).len() == 1;
    eventually("the entries are dropped", PATIENCE, only_the_new_one).await;
    let history = app.peek("bob", "alice").await["history"].clone();
    assert_eq!(history, json!([third, second]));
}

#[tokio::test]
async fn dropped_messages_leave_the_schedule_at_their_time() {
    let app = spawn_app_with(&["--fsync", "everysec", "--history-limit", "1"]);
    let sent = send_expiring(&app, "secret", 1).await;
    app.send("alice", "bob", "hi").await;
    assert_eq!(app.badge("bob").await, [1, 1]);
    outlive(&sent).await;
    let empty = async || scheduled(&app).is_empty();
    eventually("the entry is dropped", PATIENCE, empty).await;
    assert_eq!(app.badge("bob").await, [1, 1]);
    assert_eq!(stored(&app).len(), 1);
}

#[tokio::test]
async fn a_limited_caller_sends_messages_that_expire() {
    let app = spawn_app_with(&["--fsync", "everysec", "--send-rate", "100:100"]);
    let sent = send_expiring(&app, "secret", 1).await;
    outlive(&sent).await;
    wait_until_deleted(&app, 1).await;
    let path = message_path("alice", "bob", 1);
    assert_eq!(app.get(&path).await.json(200), tombstone(&sent));
}
