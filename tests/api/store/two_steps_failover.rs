//! Changes in two steps of which a failover lost some: what devices are told that resume afterwards.

use serde_json::json;

use super::two_steps::REPAIRED;
use crate::harness::live::device::Device;
use crate::harness::store::replica::OldReplica;
use crate::harness::{TestApp, eventually, spawn_app_with};

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
    let replica = OldReplica::of(&mut redis, &["bob", "carol", "bob,carol"]);
    app.send("carol", "bob", "lost").await;
    app.send("alice", "bob", "kept").await;
    let last = device
        .events_until(|event| event["message"]["body"] == "kept")
        .await;
    let cursor = last.last().unwrap()["cursor"].as_str().unwrap().to_owned();
    drop(device);
    app.outboxes_are_empty().await;
    // The master of bob and carol is replaced by a replica that lacks the last changes.
    replica.takes_over(&mut redis);
    let repaired = async || is_repaired(&app).await;
    eventually("the row of alice is repaired", REPAIRED, repaired).await;
    let mut device = Device::connect_at(&app, "bob", &cursor).await;
    assert_eq!(device.next().await["type"], json!("reset"));
}
