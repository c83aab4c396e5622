//! Going back and forth in the feed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::subscriptions::bodies;
use crate::harness::{TestApp, spawn_app};

/// Moves the subscription `archive`; returns its lag.
async fn seek(app: &TestApp, to: &str) -> Value {
    let path = "/subscriptions/archive/seek";
    let moved = app.ask(Method::POST, path, &json!({"to": to})).await;
    moved.json(200)["lag"].clone()
}

#[tokio::test]
async fn a_subscription_goes_back_to_a_time_and_to_the_start() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    for n in 0..3 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    app.send("carol", "dave", "old").await;
    sleep(Duration::from_millis(20)).await;
    app.send("alice", "bob", "3").await;
    app.send("alice", "bob", "4").await;
    let events = app.drain("archive").await;
    assert_eq!(events.len(), 6);
    let third = events.iter().find(|e| e["data"]["message"]["body"] == "3");
    let time = third.unwrap()["timestamp"].as_str().unwrap();
    assert_eq!(seek(&app, time).await, 2);
    assert_eq!(app.subscription("archive").await["lag"], 2);
    assert_eq!(bodies(&app.drain("archive").await), ["3", "4"]);
    assert_eq!(app.subscription("archive").await["lag"], 0);
    assert_eq!(seek(&app, "start").await, 6);
    let taken = app.take_with("archive", "limit=4").await;
    assert_eq!(taken.len(), 4);
    assert_eq!(seek(&app, "end").await, 0, "what was taken is dropped");
    let state = app.subscription("archive").await;
    assert_eq!((&state["lag"], &state["pending"]), (&json!(0), &json!(0)));
    assert_eq!(app.drain("archive").await.len(), 0);
    assert_eq!(seek(&app, "2100-01-31T12:00:00Z").await, 0);
    app.send("alice", "bob", "5").await;
    assert_eq!(bodies(&app.drain("archive").await), ["5"]);
}

#[tokio::test]
async fn a_new_subscription_can_begin_with_what_is_kept() {
    let app = spawn_app();
    app.subscribe("first", &json!({})).await;
    app.send("alice", "bob", "kept").await;
    app.drain("first").await;
    let late = app.subscribe("late", &json!({"from": "start"})).await;
    assert_eq!(late["lag"], 1);
    assert_eq!(bodies(&app.drain("late").await), ["kept"]);
    let latest = app.subscribe("latest", &json!({"from": "end"})).await;
    assert_eq!(latest["lag"], 0);
}

#[tokio::test]
async fn a_long_feed_is_counted_part_by_part() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    crate::harness::store::lua::fill(&mut app.redis(), "alice", "bob", 2500);
    assert_eq!(seek(&app, "2019-01-31T12:00:00Z").await, 2500);
    assert_eq!(app.subscription("archive").await["lag"], 2500);
    let taken = app.take_with("archive", "limit=1").await;
    assert_eq!(taken[0]["data"]["message"]["seq"], 1);
}
