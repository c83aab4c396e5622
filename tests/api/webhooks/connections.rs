//! Webhooks to names and networks: connections are made to permitted addresses only.

use std::time::Duration;

use serde_json::json;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app, spawn_secured_app_with};
use crate::harness::http::calls::By;
use crate::harness::http::response::ApiResponse;
use crate::harness::webhooks::Receiver;
use crate::harness::{TestApp, eventually};

async fn put(app: &TestApp, url: &str) -> ApiResponse {
    let settings = json!({"url": url});
    app.by(By::Backend, "PUT", "/subscriptions/hook", Some(&settings))
        .await
}

/// Waits until requests had an outcome.
async fn wait_for_outcome(app: &TestApp, outcome: &str) {
    let series = format!("outcome=\"{outcome}\",subscription=\"hook\"");
    let there = async || {
        let metrics = app.call_as(SERVICE_KEY, "GET", "/metrics", None).await;
        metrics.text.contains(&series)
    };
    eventually(&format!("it is {outcome}"), Duration::from_secs(20), there).await;
}

async fn send(app: &TestApp) {
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    assert_eq!(app.post_as(SERVICE_KEY, &message).await.status, 201);
}

#[tokio::test]
async fn a_name_of_a_private_address_is_never_connected() {
    let app = spawn_secured_app();
    let receiver = Receiver::start();
    let url = format!("https://localhost:{}/", receiver.port);
    assert_eq!(put(&app, &url).await.status, 201);
    send(&app).await;
    wait_for_outcome(&app, "unreachable").await;
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn webhook_networks_permit_private_addresses_and_names() {
    let app = spawn_secured_app_with(&["--webhook-networks", "127.0.0.0/8, ::1"]);
    let receiver = Receiver::start();
    for (host, count) in [("127.0.0.1", 1), ("localhost", 2)] {
        let url = format!("http://{host}:{}/", receiver.port);
        let set = put(&app, &url).await;
        assert!(set.status < 300, "{set:?}");
        send(&app).await;
        receiver.wait_for(count).await;
    }
    // Other addresses still require TLS.
    assert_eq!(put(&app, "http://8.8.8.8/").await.status, 400);
}
