//! What counts as the same request: notations of a message and of its key.

use serde_json::json;

use super::send::message;
use crate::harness::auth::secured_app::{spawn_secured_app_with, token};
use crate::harness::http::response::ApiResponse;
use crate::harness::spawn_app;

#[tokio::test]
async fn the_order_of_members_and_the_form_of_numbers_do_not_matter() {
    let app = spawn_app();
    let send = async |key: &str, members: &str| {
        let text = format!(r#"{{"from":"alice","to":"bob","body":"hi",{members}}}"#);
        let headers = [
            ("idempotency-key", key),
            ("content-type", "application/json"),
        ];
        app.call_text("POST", "/messages", &headers, text).await
    };
    let same = [
        (r#""metadata":{"a":1,"b":2}"#, r#""metadata":{"b":2,"a":1}"#),
        (
            r#""metadata":{"l":[{"x":{"a":1,"b":[]},"y":2}]}"#,
            r#""metadata":{"l":[{"y":2,"x":{"b":[],"a":1}}]}"#,
        ),
        (
            r#""metadata":{"n":[1,0,-5,100,1.5,1e19]}"#,
            r#""metadata":{"n":[1.0,-0.0,-5e0,1e2,15e-1,10000000000000000000]}"#,
        ),
        (
            r#""attachments":[{"url":"https://a.example/","metadata":{"a":1,"b":2}}]"#,
            r#""attachments":[{"metadata":{"b":2.0,"a":1},"url":"https:\/\/a.example/","name":null}]"#,
        ),
        (
            r#""metadata":null,"attachments":null"#,
            r#""reply_to":null"#,
        ),
    ];
    for (n, (one, other)) in same.iter().enumerate() {
        let first = send(&format!("same {n}"), one).await;
        assert_eq!(first.status, 201, "{first:?}");
        let again = send(&format!("same {n}"), other).await;
        assert_eq!((again.status, &again.text), (200, &first.text), "{other}");
    }
    let different = [
        (r#""metadata":{"l":[1,2]}"#, r#""metadata":{"l":[2,1]}"#),
        (r#""metadata":{"a":1}"#, r#""metadata":{"a":"1"}"#),
        (r#""metadata":{"a":1}"#, r#""metadata":{"a":1,"b":null}"#),
        (
            r#""metadata":{"a":9007199254740993}"#,
            r#""metadata":{"a":9007199254740992}"#,
        ),
    ];
    for (n, (one, other)) in different.iter().enumerate() {
        assert_eq!(send(&format!("other {n}"), one).await.status, 201);
        let refused = send(&format!("other {n}"), other).await;
        refused.problem(422, "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn a_key_in_quotes_is_the_same_key_and_two_keys_are_refused() {
    let app = spawn_app();
    let first = app.send_with_key("k", &message(&json!({}))).await.json(201);
    for key in ["\"k\"", "\"k\";a=1", "k"] {
        let again = app.send_with_key(key, &message(&json!({}))).await;
        assert_eq!(again.json(200), first, "{key}");
    }
    let escaped = app
        .send_with_key(r#""a\"b\\c""#, &message(&json!({})))
        .await;
    let bare = app.send_with_key(r#"a"b\c"#, &message(&json!({}))).await;
    assert_eq!(bare.json(200), escaped.json(201));
    let too_long = format!("\"{}\"", "x".repeat(256));
    for key in [
        "\"\"",
        "\"k",
        "\"k\" x",
        "\"a\", \"b\"",
        r#""\k""#,
        &too_long,
    ] {
        let refused = app.send_with_key(key, &message(&json!({}))).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field("/header/idempotency-key");
    }
    for keys in [["k", "k"], ["k", "l"]] {
        let headers = keys.map(|key| ("idempotency-key", key));
        let given = message(&json!({"body": "two keys"}));
        let refused = app.call("POST", "/messages", &headers, Some(&given)).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field("/header/idempotency-key");
    }
    assert_eq!(app.peek("bob", "alice").await["last_seq"], 2);
}

#[tokio::test]
async fn a_stored_message_is_answered_when_the_rate_is_used_up() {
    let app = spawn_secured_app_with(&["--send-rate", "1:2"]);
    let credential = format!("Bearer {}", token("alice"));
    let send = async |key: &str, body: &str| -> ApiResponse {
        let headers = [("authorization", &*credential), ("idempotency-key", key)];
        let given = json!({"to": "bob", "body": body});
        app.call("POST", "/messages", &headers, Some(&given)).await
    };
    let first = send("k", "hi").await;
    assert_eq!(first.status, 201);
    // Each round uses up the tokens that were refilled on a slow machine.
    for round in 0..5 {
        let mut news = 0..50;
        let refused = loop {
            let n = news.next().expect("the rate is used up");
            let answer = send(&format!("{round} {n}"), "another").await;
            if answer.status != 201 {
                break answer;
            }
        };
        refused.problem(429, "RATE_LIMITED");
        let again = send("k", "hi").await;
        assert_eq!((again.status, &again.text), (200, &first.text));
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert!(again.header("ratelimit").starts_with("\"send\";r="));
    }
}
