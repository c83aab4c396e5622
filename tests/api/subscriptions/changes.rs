//! Changes of one subscription that overtake each other.

use std::time::Duration;

use duologue::store::{Store, StoredSubscription};
use duologue::worker::feed::{FeedRetention, trim_feeds};
use reqwest::Method;
use serde_json::{Value, json};

use super::badge_stream::streams;
use super::{interrupt, open_store};
use crate::harness::live::resume::kinds;
use crate::harness::subscriptions::bodies;
use crate::harness::{TestApp, spawn_app};

async fn change(app: &TestApp, settings: &Value) {
    let path = "/subscriptions/archive";
    app.ask(Method::PUT, path, settings).await.json(200);
}

/// Changes the subscription. Returns it as a process knows it that has not opened its feeds yet.
async fn change_slowly(app: &TestApp, store: &Store, settings: &Value) -> StoredSubscription {
    change(app, settings).await;
    interrupt(app, "archive", "opening");
    store.read_subscriptions().await.unwrap().remove(0)
}

/// Trims the feeds as the worker of a process does that knows this subscription.
async fn trim(store: &Store, known: StoredSubscription) {
    let retention = FeedRetention {
        keep: Duration::from_secs(3600),
        events: 1_000_000,
    };
    trim_feeds(store, retention, &[known]).await.unwrap();
}

#[tokio::test]
async fn a_late_change_leaves_no_feed_that_nobody_reads() {
    let app = spawn_app();
    let store = open_store(&app);
    let messages = json!({"types": ["message.created"]});
    app.subscribe("archive", &messages).await;
    let both = json!({"types": ["message.created", "badge.changed"]});
    let late = change_slowly(&app, &store, &both).await;
    change(&app, &messages).await;
    assert_eq!(streams(&app), 0);
    app.send("alice", "bob", "kept").await;
    assert!(!store.complete_subscription(&late).await.unwrap());
    let known = store.read_subscriptions().await.unwrap().remove(0);
    trim(&store, known).await;
    assert_eq!(streams(&app), 0);
    assert_eq!(bodies(&app.drain("archive").await), ["kept"]);
}

#[tokio::test]
async fn a_late_change_removes_no_feed_that_is_read() {
    let app = spawn_app();
    let store = open_store(&app);
    let both = json!({"types": ["message.created", "badge.changed"]});
    app.subscribe("archive", &both).await;
    let messages = json!({"types": ["message.created"]});
    let late = change_slowly(&app, &store, &messages).await;
    change(&app, &both).await;
    app.send("alice", "bob", "hi").await;
    assert!(!store.complete_subscription(&late).await.unwrap());
    trim(&store, late).await;
    let events = app.drain("archive").await;
    let mut told = kinds(&events);
    told.sort_unstable();
    assert_eq!(told, ["badge.changed", "message.created"]);
}
