//! What credentials permit and what refusals reveal, besides the matrix of `permissions`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::auth::secured_app::{
    ROTATED_OUT, SECRET, SERVICE_KEY, spawn_secured_app, spawn_secured_app_with, token,
};
use crate::harness::auth::signing::{Signer, claims};
use crate::harness::http::response::ApiResponse;
use crate::harness::spawn_app_with;

/// A response without its request id and time, for comparison.
fn comparable(answer: &ApiResponse) -> (u16, String, BTreeMap<String, String>) {
    let id = answer.header("x-request-id");
    let headers = answer.headers.keys().map(|name| {
        let value = answer.header(name.as_str()).replace(id, "");
        (name.to_string(), value)
    });
    let headers = headers.filter(|(name, _)| name != "date").collect();
    (answer.status, answer.text.replace(id, ""), headers)
}

#[tokio::test]
async fn a_403_does_not_reveal_whether_a_resource_exists() {
    let app = spawn_secured_app();
    let message = |to: &str| json!({"from": "alice", "to": to, "body": "hi"});
    assert_eq!(app.post_as(SERVICE_KEY, &message("bob")).await.status, 201);
    let mallory = token("mallory");
    let there = app.get_as(&mallory, "/conversations/alice/bob").await;
    let absent = app.get_as(&mallory, "/conversations/carol/dave").await;
    assert_eq!(there.status, 403);
    assert_eq!(comparable(&there), comparable(&absent));
    let to_friend = app.post_as(&mallory, &message("bob")).await;
    let to_stranger = app.post_as(&mallory, &message("dave")).await;
    assert_eq!(to_friend.status, 403);
    assert_eq!(comparable(&to_friend), comparable(&to_stranger));
}

#[tokio::test]
async fn from_is_optional_for_users_and_required_for_backends() {
    let app = spawn_secured_app();
    let message = json!({"to": "bob", "body": "hi"});
    assert_eq!(
        app.post_as(&token("alice"), &message).await.json(201)["from"],
        "alice"
    );
    let refused = app.post_as(SERVICE_KEY, &message).await;
    refused.problem(400, "INVALID_REQUEST");
    refused.invalid_field("/from");
}

#[tokio::test]
async fn a_user_reads_only_its_own_side_of_a_conversation() {
    let app = spawn_secured_app();
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    app.post_as(SERVICE_KEY, &message).await.json(201);
    // Alice takes part in this conversation, but reading as bob would mark it as read for him.
    let as_bob = app
        .get_as(&token("alice"), "/conversations/bob/alice")
        .await;
    as_bob.problem(403, "FORBIDDEN");
    let read = app.get_as(&token("bob"), "/conversations/bob/alice").await;
    assert_eq!(read.json(200)["unread_count"], 1);
}

#[tokio::test]
async fn readyz_shows_only_the_status_without_a_service_key() {
    let app = spawn_secured_app();
    assert_eq!(
        app.get("/readyz").await.json(200),
        json!({"status": "ready"})
    );
    let user = app.get_as(&token("alice"), "/readyz").await.json(200);
    assert_eq!(user, json!({"status": "ready"}));
    let backend = app.get_as(SERVICE_KEY, "/readyz").await.json(200);
    assert_eq!(backend["redis"][0]["role"], "master");
}

#[tokio::test]
async fn service_keys_rotate_without_downtime() {
    let both = format!("{ROTATED_OUT},{SERVICE_KEY}");
    let during = spawn_app_with(&["--service-keys", &both]);
    for key in [ROTATED_OUT, SERVICE_KEY] {
        assert_eq!(during.get_as(key, "/metrics").await.status, 200);
    }
    let after = spawn_app_with(&["--service-keys", SERVICE_KEY]);
    assert_eq!(after.get_as(SERVICE_KEY, "/metrics").await.status, 200);
    assert_eq!(after.get_as(ROTATED_OUT, "/metrics").await.status, 401);
    let user = after.get_as(&token("alice"), "/metrics").await;
    let said = user.problem(401, "UNAUTHENTICATED")["detail"].to_string();
    assert!(
        said.contains("not accepted"),
        "no tokens without a secret: {said}"
    );
}

#[tokio::test]
async fn two_credentials_in_one_request_are_refused() {
    let app = spawn_secured_app();
    let alice = format!("Bearer {}", token("alice"));
    let key = format!("Bearer {SERVICE_KEY}");
    let both = [("authorization", &*alice), ("authorization", &*key)];
    let answer = app
        .call("GET", "/conversations/alice/bob", &both, None)
        .await;
    answer.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_token_signed_with_another_secret_is_refused() {
    let app = spawn_secured_app();
    let good = Signer::hs256(SECRET.as_bytes()).sign(&claims("alice", &json!({})));
    let path = "/conversations/alice/bob";
    assert_eq!(app.get_as(&good, path).await.status, 200);
    for secret in [
        &SECRET[..SECRET.len() - 1],
        "",
        "a secret that the service does not use",
    ] {
        let bad = Signer::hs256(secret.as_bytes()).sign(&claims("alice", &json!({})));
        app.get_as(&bad, path).await.problem(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn the_store_holds_no_credential() {
    // Slow limits, so that no rate-limit key expires before it is searched.
    let app = spawn_secured_app_with(&[
        "--send-rate",
        "1:60",
        "--key-rate",
        "1:60",
        "--request-rate",
        "1:60",
    ]);
    let alice = token("alice");
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    let garbage = "a-service-key-that-nobody-ever-made";
    for credential in [SERVICE_KEY, &alice, garbage] {
        app.post_as(credential, &message).await;
        app.get_as(credential, "/conversations/alice/bob").await;
    }
    let mut redis = app.redis();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    let rates = keys.iter().filter(|key| key.contains(":rate:")).count();
    assert_eq!(rates, 5, "{keys:?}");
    for key in keys {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap();
        let all = key + &String::from_utf8_lossy(&dump);
        let parts = alice.split('.').chain([SERVICE_KEY, garbage]);
        for part in parts {
            assert!(!all.contains(part), "{part} in {all}");
        }
    }
}
