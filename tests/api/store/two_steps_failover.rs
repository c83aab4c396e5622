//! Changes in two steps of which a failover lost some: what devices are told that resume afterwards.

use redis::{Commands, ConnectionLike, cmd};
use serde_json::json;

use super::two_steps::REPAIRED;
use crate::harness::live::device::Device;
use crate::harness::{TestApp, eventually, spawn_app_with};

/// The keys of users, with their values.
type Inboxes = Vec<(String, Vec<u8>)>;

/// The inbox of each of these users, and the conversation of both.
fn dump(redis: &mut impl ConnectionLike, one: &str, other: &str) -> Inboxes {
    let (pair, either) = (format!("{one},{other}"), [one, other]);
    let is_wanted = |key: &String| {
        let name = key.rsplit(':').next().unwrap();
        name == pair || either.contains(&name)
    };
    let keys: Vec<String> = redis.keys("dm:{*").unwrap();
    let keys = keys.into_iter().filter(is_wanted);
    keys.map(|key| {
        let value = cmd("DUMP").arg(&key).query(redis).unwrap();
        (key, value)
    })
    .collect()
}

fn restore(redis: &mut impl ConnectionLike, inboxes: &Inboxes) {
    for (key, value) in inboxes {
        let mut restore = cmd("RESTORE");
        restore.arg(key).arg(0).arg(value).arg("REPLACE");
        restore.exec(redis).unwrap();
    }
}

async fn is_repaired(app: &TestApp) -> bool {
    let inbox = app.inbox("bob", "").await;
    let rows = inbox["conversations"].as_array().unwrap();
    rows.iter()
        .any(|row| row["peer"] == "alice" && row["last_seq"] == 2)
}

#[tokio::test]
async fn a_device_that_resumes_after_a_lost_event_is_reset() {
    let app = spawn_app_with(&["--two-steps"]);
    app.send("alice", "bob", "one").await;
    app.send("carol", "bob", "two").await;
    app.outboxes_are_empty().await;
    let mut device = Device::connect(&app, "bob").await;
    let mut redis = app.redis();
    let before = dump(&mut redis, "bob", "carol");
    app.send("carol", "bob", "lost").await;
    app.send("alice", "bob", "kept").await;
    let last = device
        .events_until(|event| event["message"]["body"] == "kept")
        .await;
    let cursor = last.last().unwrap()["cursor"].as_str().unwrap().to_owned();
    drop(device);
    app.outboxes_are_empty().await;
    // The master of bob and carol is replaced by a replica that lacks the last changes.
    restore(&mut redis, &before);
    let repaired = async || is_repaired(&app).await;
    eventually("the row of alice is repaired", REPAIRED, repaired).await;
    let mut device = Device::connect_at(&app, "bob", &cursor).await;
    assert_eq!(device.next().await["type"], json!("reset"));
}
