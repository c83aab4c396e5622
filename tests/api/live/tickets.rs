//! Tickets and tokens on live connections: what uses a ticket up, and what guessing costs.

use serde_json::json;

use crate::harness::TestApp;
use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with, token};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::event_stream::EventStream;

/// A ticket of alice.
async fn ticket(app: &TestApp) -> String {
    let bearer = format!("Bearer {}", token("alice"));
    let headers = [("authorization", &*bearer)];
    let answer = app
        .call("POST", "/tickets", &headers, Some(&json!({})))
        .await;
    answer.json(201)["ticket"].as_str().unwrap().to_owned()
}

fn with(app: &TestApp, ticket: &str) -> ConnectOptions {
    ConnectOptions::new(&app.address).query("ticket", ticket)
}

#[tokio::test]
async fn only_a_connection_that_opens_uses_a_ticket_up() {
    let app = spawn_secured_app_with(&["--connections=1"]);
    let ticket = ticket(&app).await;
    let options = || with(&app, &ticket);
    let refused = options().query("cursor", "garbage").expect_refusal().await;
    refused.problem(400, "INVALID_REQUEST");
    refused.invalid_field("/query/cursor");
    let refused = options().query("unknown", "1").expect_refusal().await;
    refused.problem(400, "INVALID_REQUEST");
    let refused = options().protocols("chat").expect_refusal().await;
    refused.invalid_field("/header/sec-websocket-protocol");
    let refused = options().user("bob").expect_refusal().await;
    refused.problem(403, "FORBIDDEN");
    let refused = options()
        .header("origin", "https://evil.example")
        .expect_refusal()
        .await;
    refused.problem(403, "FORBIDDEN");
    let plain = app.get(&format!("/ws?ticket={ticket}")).await;
    plain.problem(426, "UPGRADE_REQUIRED");
    for path in ["ws", "events"] {
        let path = format!("/{path}?ticket={ticket}");
        app.request(reqwest::Method::HEAD, &path).await;
    }
    let malformed = app.get(&format!("/events?ticket={ticket}&after=x")).await;
    malformed.invalid_field("/query/after");
    let backend = ConnectOptions::new(&app.address)
        .bearer(SERVICE_KEY)
        .user("carol");
    let other = backend.connect(None).await;
    options().expect_refusal().await.problem(503, "BUSY");
    other.close().await;
    crate::harness::eventually("room", std::time::Duration::from_secs(5), async || {
        options().try_connect(None).await.unwrap().is_ok()
    })
    .await;
    options()
        .expect_refusal()
        .await
        .problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_ticket_opens_one_of_many_connections_at_once() {
    let app = spawn_secured_app_with(&[]);
    let ticket = ticket(&app).await;
    let attempts = (0..10).map(|_| {
        let options = with(&app, &ticket);
        tokio::spawn(async move { options.try_connect(None).await.unwrap().is_ok() })
    });
    let mut opened = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        opened += u32::from(attempt.await.unwrap());
    }
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn a_ticket_opens_one_event_stream_or_poll() {
    let app = spawn_secured_app_with(&[]);
    let first = ticket(&app).await;
    let stream = EventStream::try_open(&with(&app, &first)).await.unwrap();
    assert_eq!(stream.hello["user"], "alice");
    let second = ticket(&app).await;
    app.get(&format!("/events?ticket={second}")).await.json(200);
    for used in [first, second] {
        let again = app.get(&format!("/events?ticket={used}")).await;
        again.problem(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn guessing_tokens_on_a_websocket_is_limited() {
    let app = spawn_secured_app_with(&["--failure-rate", "1:5"]);
    let options = ConnectOptions::new(&app.address).bearer(&token("alice"));
    let mut device = options.connect(None).await;
    let mut codes = Vec::new();
    while codes.len() < 19 && codes.last().is_none_or(|code| code != "RATE_LIMITED") {
        let answer = device
            .ask(&json!({"type": "token", "token": "a.b.c"}))
            .await;
        codes.push(answer["problem"]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes[..5], ["UNAUTHENTICATED"; 5]);
    assert_eq!(codes.last().unwrap(), "RATE_LIMITED");
    let valid = device
        .ask(&json!({"type": "token", "token": token("alice")}))
        .await;
    assert_eq!(valid["type"], "ack");
}

#[tokio::test]
async fn twenty_rejected_tokens_close_the_connection() {
    let app = spawn_secured_app_with(&[]);
    let options = ConnectOptions::new(&app.address).bearer(&token("alice"));
    let mut device = options.connect(None).await;
    for _ in 0..20 {
        device
            .ask(&json!({"type": "token", "token": "a.b.c"}))
            .await;
    }
    assert_eq!(
        device.wait_closed().await,
        (1008, "too_many_refusals".into())
    );
}
