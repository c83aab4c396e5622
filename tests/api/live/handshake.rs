//! Handshakes: authorization, origins, tickets, token expiry and connection limits.

use serde_json::{Value, json};

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with, token, token_until};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::Device;
use crate::harness::{TestApp, spawn_app, spawn_app_with};

#[tokio::test]
async fn a_refused_handshake_names_the_invalid_field() {
    let app = spawn_app();
    let options = || ConnectOptions::new(&app.address);
    options()
        .expect_refusal()
        .await
        .invalid_field("/query/user");
    let refused = options().user("bo b").expect_refusal().await;
    refused.invalid_field("/query/user");
    let refused = options()
        .user("bob")
        .query("cursor", "yesterday")
        .expect_refusal()
        .await;
    refused.invalid_field("/query/cursor");
    let refused = options()
        .user("bob")
        .protocols("chat")
        .expect_refusal()
        .await;
    refused.invalid_field("/header/sec-websocket-protocol");
    let plain = app.get("/ws?user=bob").await;
    plain.problem(426, "UPGRADE_REQUIRED");
    assert_eq!(plain.header("upgrade"), "websocket");
    assert_eq!(plain.header("sec-websocket-version"), "13");
    let spoken = options().user("bob").connect(None).await;
    assert_eq!(spoken.protocol.as_deref(), Some("duologue.v1"));
}

#[tokio::test]
async fn pages_of_other_origins_may_not_connect() {
    let app = spawn_app_with(&["--cors-origins", "https://app.example.com"]);
    let own = app.address.clone();
    for (origin, may) in [
        (own.as_str(), true),
        ("https://app.example.com", true),
        ("https://evil.example.com", false),
        ("https://app.example.com.evil.example.com", false),
        ("null", false),
    ] {
        let options = ConnectOptions::new(&app.address)
            .user("bob")
            .header("origin", origin);
        let events = options.request("/events", &[]).send().await.unwrap();
        if may {
            options.connect(None).await;
            assert_eq!(events.status(), 200, "{origin}");
        } else {
            options
                .expect_refusal()
                .await
                .invalid_field("/header/origin");
            assert_eq!(events.status(), 403, "{origin}");
        }
    }
}

#[tokio::test]
async fn a_user_connects_only_as_itself_and_a_backend_as_anyone() {
    let app = spawn_secured_app_with(&[]);
    let options = || ConnectOptions::new(&app.address);
    let (alice, as_bob) = (token("alice"), options().user("bob"));
    options()
        .expect_refusal()
        .await
        .problem(401, "UNAUTHENTICATED");
    let refused = as_bob.clone().bearer(&alice).expect_refusal().await;
    refused.problem(403, "FORBIDDEN");
    let backend = as_bob.bearer(SERVICE_KEY).connect(None).await;
    assert_eq!(backend.hello["user"], "bob");
    let header = options().bearer(&alice).connect(None).await;
    assert_eq!(header.hello["user"], "alice");
    let offered = format!("duologue.v1, bearer.{alice}");
    let subprotocol = options().protocols(&offered).connect(None).await;
    assert_eq!(subprotocol.hello["user"], "alice");
    assert_eq!(subprotocol.protocol.as_deref(), Some("duologue.v1"));
    let garbage = options()
        .protocols("duologue.v1, bearer.a.b.c")
        .expect_refusal()
        .await;
    garbage.problem(401, "UNAUTHENTICATED");
}

/// Connects with a valid ticket.
async fn with_ticket(app: &TestApp, ticket: &str) -> Device {
    ConnectOptions::new(&app.address)
        .query("ticket", ticket)
        .connect(None)
        .await
}

#[tokio::test]
async fn a_ticket_opens_one_connection_for_its_user() {
    let app = spawn_secured_app_with(&[]);
    let ticket = async |credential: &str, wanted: Value| {
        let headers = [("authorization", format!("Bearer {credential}"))];
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        app.call("POST", "/tickets", &headers, Some(&wanted)).await
    };
    let alice = ticket(&token("alice"), json!({})).await.json(201);
    assert_eq!(alice["expires_in"], 30);
    let alice = alice["ticket"].as_str().unwrap().to_owned();
    assert_eq!(with_ticket(&app, &alice).await.hello["user"], "alice");
    let again = ConnectOptions::new(&app.address)
        .query("ticket", &alice)
        .expect_refusal()
        .await;
    again.problem(401, "UNAUTHENTICATED");
    let never = ConnectOptions::new(&app.address)
        .query("ticket", "nonsense")
        .expect_refusal()
        .await;
    never.problem(401, "UNAUTHENTICATED");

    let for_bob = ticket(SERVICE_KEY, json!({"user": "bob"})).await.json(201);
    let for_bob = for_bob["ticket"].as_str().unwrap();
    // Only as bob.
    let options = ConnectOptions::new(&app.address).query("ticket", for_bob);
    options
        .user("carol")
        .expect_refusal()
        .await
        .problem(403, "FORBIDDEN");
    let refused = ticket(SERVICE_KEY, json!({})).await;
    refused.invalid_field("/user");
    let refused = ticket(&token("alice"), json!({"user": "bob"})).await;
    refused.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn an_expired_token_closes_the_connection_unless_refreshed() {
    // The leeway is 30 s, so a token that expired 25 s ago is valid for another 5 s.
    let app = spawn_secured_app_with(&[]);
    let ending = token_until("alice", -25);
    let mut left = ConnectOptions::new(&app.address)
        .bearer(&ending)
        .connect(None)
        .await;
    let mut refreshed = ConnectOptions::new(&app.address)
        .bearer(&ending)
        .connect(None)
        .await;
    let refused = refreshed
        .ask(&json!({"type": "token", "token": token("bob")}))
        .await;
    assert_eq!(refused["problem"]["code"], "FORBIDDEN");
    let refused = refreshed
        .ask(&json!({"type": "token", "token": "a.b.c"}))
        .await;
    assert_eq!(refused["problem"]["code"], "UNAUTHENTICATED");
    let fresh = refreshed
        .ask(&json!({"type": "token", "token": token("alice")}))
        .await;
    assert_eq!(fresh["type"], "ack");
    assert_eq!(left.wait_closed().await, (4401, "token_expired".into()));
    assert_eq!(refreshed.ask(&json!({"type": "ping"})).await["type"], "ack");
}

#[tokio::test]
async fn connections_are_limited_per_process() {
    let app = spawn_app_with(&["--connections-per-user=2", "--connections=3"]);
    let first = Device::connect(&app, "alice").await;
    let second = Device::connect(&app, "alice").await;
    let _third = Device::connect(&app, "bob").await;
    let refused = ConnectOptions::new(&app.address)
        .user("carol")
        .expect_refusal()
        .await;
    refused.problem(503, "BUSY");
    first.close().await;
    let _ = Device::connect(&app, "alice").await;
    drop(second);
}
