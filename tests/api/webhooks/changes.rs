//! Changes of webhooks: to a subscription that is pulled and back, and pausing.

use std::time::Duration;

use duologue::store::Keys;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::webhooks::Receiver;
use crate::harness::{TestApp, eventually, spawn_app};

async fn put(app: &TestApp, settings: &Value) -> Value {
    let path = "/subscriptions/hook";
    app.ask(Method::PUT, path, settings).await.json(200)
}

#[tokio::test]
async fn a_subscription_changes_between_pulled_and_pushed() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    app.subscribe("hook", &json!({})).await;
    app.send("alice", "bob", "one").await;
    let taken = app.take("hook", "consumer").await;
    assert_eq!(taken.len(), 1);
    let pushed = put(&app, &json!({"url": receiver.url()})).await;
    let secret = pushed["secret"].as_str().unwrap();
    assert!(receiver.wait_for(1).await[0].verifies(secret));
    app.wait_until_taken("hook").await;
    for (method, path, body) in [
        (Method::GET, "events", None),
        (Method::GET, "events?wait=5", None),
        (Method::POST, "ack", Some(json!({"ids": [taken[0]["id"]]}))),
    ] {
        let path = format!("/subscriptions/hook/{path}");
        let answer = match body {
            Some(body) => app.ask(method, &path, &body).await,
            None => app.get(&path).await,
        };
        answer.problem(409, "SUBSCRIPTION_IS_PUSHED");
    }
    let pulled = put(&app, &json!({})).await;
    assert_eq!(pulled["url"], Value::Null);
    // Until the process that sends notices it, events are still sent.
    let is_taken = async || {
        app.send("alice", "bob", "two").await;
        !app.take("hook", "consumer").await.is_empty()
    };
    eventually("consumers take events", Duration::from_secs(60), is_taken).await;
    let again = put(&app, &json!({"url": receiver.url()})).await;
    assert_ne!(again["secret"], pushed["secret"]);
}

#[tokio::test]
async fn a_paused_webhook_receives_nothing_until_it_continues() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    let settings = |paused: bool| json!({"url": receiver.url(), "paused": paused});
    let made = app.subscribe("hook", &settings(true)).await;
    assert_eq!(
        (&made["state"], &made["paused"]),
        (&json!("paused"), &json!(true))
    );
    app.send("alice", "bob", "one").await;
    put(&app, &settings(false)).await;
    receiver.wait_for(1).await;
    app.wait_until_taken("hook").await;
    assert_eq!(put(&app, &settings(true)).await["state"], "paused");
    let mut redis = app.redis();
    let is_given_back = async || {
        let until: i64 = redis
            .hget(Keys::new().webhook("hook"), "held_until_us")
            .unwrap();
        until <= chrono::Utc::now().timestamp_micros()
    };
    eventually("the process stops", Duration::from_secs(20), is_given_back).await;
    app.send("alice", "bob", "two").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(receiver.texts(), ["one"]);
    assert_eq!(app.subscription("hook").await["lag"], 1);
    put(&app, &settings(false)).await;
    receiver.wait_for(2).await;
    assert_eq!(receiver.texts(), ["one", "two"]);
}
