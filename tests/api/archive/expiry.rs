//! Messages that expire in the archive.

use std::time::Duration;

use duologue::store::Keys;
use redis::Commands;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::archive::{ArchivedApp, HOT, pair, spawn_archived};
use crate::harness::eventually;
use crate::harness::live::device::Device;

/// Enough time to archive the messages before.
const EXPIRES_IN: u64 = 6;
/// How long a message may be shown, counted and told as expired after it was sent.
const DEADLINE: Duration = Duration::from_secs(30);
/// Messages that expire, which are in the first segment, and others.
const EXPIRING: u64 = 3;
const OTHERS: u64 = 17;

/// Sends messages to a peer, of which the first ones expire, and archives them.
async fn send_and_archive(app: &ArchivedApp, peer: &str, name: &str) {
    for number in 1..=EXPIRING + OTHERS {
        let mut message = json!({"from": "alice", "to": peer, "body": format!("message {number}")});
        if number <= EXPIRING {
            message["expires_in"] = EXPIRES_IN.into();
        }
        app.post(&message).await.json(201);
    }
    app.archive(name).await;
    assert_eq!(app.hot(name), HOT);
    let first = app.message("alice", peer, 1).await.json(200);
    assert_eq!(first["body"], "message 1", "archived before it expires");
}

/// Waits until a device was told once of each message that expired.
async fn assert_told(mut device: Device) {
    let is_last = |seqs: &mut Vec<u64>, event: &Value| {
        if event["type"] == "message.deleted" {
            seqs.push(event["message"]["seq"].as_u64().unwrap());
        }
        seqs.len() as u64 == EXPIRING
    };
    let mut seqs = Vec::new();
    sleep(Duration::from_secs(EXPIRES_IN)).await;
    device.events_until(|event| is_last(&mut seqs, event)).await;
    seqs.sort_unstable();
    assert!(seqs.into_iter().eq(1..=EXPIRING));
    let more = device.events_within(Duration::from_secs(1)).await;
    assert!(more.is_empty(), "{more:?}");
}

/// Like [`assert_told`], and no message has an object of its own.
async fn assert_told_with_few_objects(app: &ArchivedApp, device: Device) {
    let before = app.objects().len();
    assert_told(device).await;
    let written = app.objects().len() - before;
    assert!(
        (1..=2).contains(&written),
        "{written} objects for one segment"
    );
}

#[tokio::test]
async fn messages_of_a_segment_expire_together() {
    let app = spawn_archived();
    let device = Device::connect(&app, "bob").await;
    send_and_archive(&app, "bob", &pair("alice", "bob")).await;
    assert_told_with_few_objects(&app, device).await;
    assert_eq!(app.badge("bob").await[0], OTHERS);
    let page = app.page("bob", "alice", "after=0&limit=6&peek=true").await;
    for message in page["history"].as_array().unwrap() {
        let has_expired = message["seq"].as_u64() <= Some(EXPIRING);
        assert_eq!(message["body"] == "", has_expired, "{message}");
    }
    // The counts of who wrote what agree.
    app.mark_unread("bob", "alice", 1).await;
    assert_eq!(app.badge("bob").await[0], OTHERS);
}

#[tokio::test]
async fn messages_of_a_room_expire_together() {
    let app = spawn_archived();
    app.open_room("general", &["alice", "bob"]).await;
    let device = Device::connect(&app, "bob").await;
    send_and_archive(&app, "room:general", "room:general").await;
    assert_told_with_few_objects(&app, device).await;
}

#[tokio::test]
async fn another_change_writes_the_tombstones_of_expired_messages() {
    let app = spawn_archived();
    let name = pair("alice", "bob");
    send_and_archive(&app, "bob", &name).await;
    // The schedule is not performed before the edit.
    let schedule = Keys::new().schedule(&name);
    let due: Vec<(String, f64)> = app.redis().zrange_withscores(&schedule, 0, -1).unwrap();
    assert_eq!(due.len() as u64, EXPIRING);
    for (entry, at) in due {
        let later: u64 = app.redis().zadd(&schedule, entry, at + 4000.0).unwrap();
        assert_eq!(later, 0);
    }
    sleep(Duration::from_secs(EXPIRES_IN)).await;
    let before = app.objects().len();
    let edit = json!({"body": "edited"});
    app.edit("alice", "bob", 4, &edit).await.json(200);
    assert_eq!(app.badge("bob").await[0], EXPIRING + OTHERS);
    let told = async || app.badge("bob").await[0] == OTHERS;
    eventually("they no longer count", DEADLINE, told).await;
    assert_eq!(app.objects().len(), before + 1);
}
