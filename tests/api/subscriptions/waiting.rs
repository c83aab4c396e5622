//! Requests that wait for an event.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::{TestApp, spawn_app, spawn_app_on};

/// Waits for the events of the subscription `archive`, and tells for how long.
async fn wait_for_events(app: &TestApp, wait_s: u8) -> (Vec<Value>, Duration) {
    let begun = Instant::now();
    let query = format!("wait={wait_s}");
    let events = app.take_with("archive", &query).await;
    (events, begun.elapsed())
}

#[tokio::test]
async fn a_waiting_request_gets_an_event_at_once() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let other = spawn_app_on(&app.redis_url);
    for sender in [&app, &other] {
        let send = async {
            sleep(Duration::from_millis(700)).await;
            sender.send("alice", "bob", "hi").await;
        };
        let ((events, waited), ()) = tokio::join!(wait_for_events(&app, 20), send);
        assert_eq!(events.len(), 1);
        assert!(waited > Duration::from_millis(600), "{waited:?}");
        // It looks by itself only after 5 seconds.
        assert!(waited < Duration::from_secs(4), "{waited:?}");
        app.ack("archive", "default", &events).await;
    }
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_says() {
    let app = spawn_app();
    let types = json!({"types": ["message.deleted"]});
    app.subscribe("archive", &types).await;
    let unwanted = async {
        sleep(Duration::from_millis(200)).await;
        app.send("alice", "bob", "hi").await;
    };
    let ((events, waited), ()) = tokio::join!(wait_for_events(&app, 1), unwanted);
    assert_eq!(events.len(), 0);
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    let (_, waited) = wait_for_events(&app, 0).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_stopping_service_answers_those_who_wait() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let url = format!("{}/subscriptions/archive/events?wait=30", app.address);
    let waiting = tokio::spawn(app.client.get(url).send());
    sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    drop(app);
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(begun.elapsed() < Duration::from_secs(5));
}
