//! A watcher that comes back continues after its cursor.

use std::time::Duration;

use redis::cmd;
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::live::resume::{bodies, fill};
use crate::harness::live::watcher::watcher;
use crate::harness::load_generator::LoadGenerator;
use crate::harness::store::rooms::keys_of_room;
use crate::harness::{TestApp, eventually, spawn_app};

/// Creates an open room with alice.
async fn app_with_room() -> TestApp {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    app
}

#[tokio::test]
async fn a_watcher_resumes_with_exactly_what_it_missed() {
    let app = app_with_room().await;
    let (mut eve, start) = watcher(&app, "eve", "general").await;
    app.send("alice", "room:general", "seen").await;
    let seen = eve.room_events_until(&start, "seen").await;
    let after = seen[0]["cursor"].as_str().unwrap().to_owned();
    drop(eve);
    // More than one page.
    fill(&app, "alice", "room:general", 0..230);
    let mut eve = Device::connect(&app, "eve").await;
    assert_eq!(eve.watch("general", Some(&after)).await, after);
    app.send("alice", "room:general", "the end").await;
    let events = eve.room_events_until(&after, "the end").await;
    let mut expected: Vec<_> = (0..230).map(|n| n.to_string()).collect();
    expected.push("the end".to_owned());
    assert_eq!(bodies(&events), expected);
    // Nothing was missed since then.
    let after = events.last().unwrap()["cursor"].as_str().unwrap();
    assert_eq!(eve.watch("general", Some(after)).await, after);
    let told = eve.events_within(Duration::from_millis(50)).await;
    assert_eq!(told, [] as [Value; 0]);
}

#[tokio::test]
async fn reconnects_while_messages_are_sent_lose_and_repeat_nothing() {
    let app = app_with_room().await;
    let (mut eve, mut place) = watcher(&app, "eve", "general").await;
    let sender = LoadGenerator::start(&[&app.address], "alice", "room:general");
    let mut received = Vec::new();
    for _ in 0..10 {
        sender.wait_for_sent(10).await;
        for event in eve.events_within(Duration::from_millis(5)).await {
            assert_eq!(event["prev"], json!(place));
            place = event["cursor"].as_str().unwrap().to_owned();
            received.push(event["message"]["body"].as_str().unwrap().to_owned());
        }
        eve = Device::connect(&app, "eve").await;
        eve.watch("general", Some(&place)).await;
    }
    let sent = sender.finish().await;
    app.send("alice", "room:general", "the end").await;
    let events = eve.room_events_until(&place, "the end").await;
    received.extend(bodies(&events).into_iter().map(str::to_owned));
    let mut expected: Vec<_> = (0..sent).map(|n| format!("alice {n}")).collect();
    expected.push("the end".to_owned());
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_cursor_that_is_too_old_yields_one_change() {
    let app = app_with_room().await;
    let (mut eve, start) = watcher(&app, "eve", "general").await;
    fill(&app, "alice", "room:general", 0..300);
    let [_, _, _, events, ..] = keys_of_room("general");
    let length = async || {
        let length: u64 = cmd("XLEN").arg(&events).query(&mut app.redis()).unwrap();
        length < 300
    };
    eventually(
        "events that are filed are dropped",
        Duration::from_secs(20),
        length,
    )
    .await;
    eve.room_events_until(&start, "299").await;
    let invented = "1768564800000000-1768564800123456";
    for after in [start.as_str(), invented] {
        let mut late = Device::connect(&app, "late").await;
        assert_eq!(late.watch("general", Some(after)).await, after);
        let changed = late.next().await;
        let members = json!({"type": "conversation.changed", "room": "general",
            "cursor": changed["cursor"], "prev": after});
        assert_eq!(changed, members);
        app.send("alice", "room:general", after).await;
        let cursor = changed["cursor"].as_str().unwrap();
        let events = late.room_events_until(cursor, after).await;
        assert_eq!(bodies(&events), [after]);
    }
}

#[tokio::test]
async fn an_event_that_is_too_large_for_a_page_is_resumed_too() {
    let app = app_with_room().await;
    let (eve, start) = watcher(&app, "eve", "general").await;
    drop(eve);
    let body = "語".repeat(9_000);
    for _ in 0..25 {
        app.send("alice", "room:general", &body).await;
    }
    let mut eve = Device::connect(&app, "eve").await;
    eve.watch("general", Some(&start)).await;
    app.send("alice", "room:general", "the end").await;
    let events = eve.room_events_until(&start, "the end").await;
    assert_eq!(events.len(), 26);
}

#[tokio::test]
async fn an_expired_message_is_resumed_as_its_tombstone() {
    let app = app_with_room().await;
    let (eve, start) = watcher(&app, "eve", "general").await;
    drop(eve);
    let message = json!({"from": "alice", "to": "room:general", "body": "gone", "expires_in": 1});
    app.post(&message).await.json(201);
    let expired = async || app.message("alice", "room:general", 1).await.json(200)["body"] == "";
    eventually("it expires", Duration::from_secs(10), expired).await;
    let mut eve = Device::connect(&app, "eve").await;
    eve.watch("general", Some(&start)).await;
    app.send("alice", "room:general", "the end").await;
    let events = eve.room_events_until(&start, "the end").await;
    assert_eq!(events[0]["type"], "message.created");
    assert!(events[0]["message"]["deleted_at"].is_string());
    assert!(!bodies(&events).contains(&"gone"));
}
