//! Settings of webhooks: the URL and the secret.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, spawn_app};

/// A URL at which nobody listens.
const URL: &str = "http://127.0.0.1:9/events";
/// A secret of 24 bytes.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn put(app: &TestApp, settings: &Value) -> Value {
    let path = "/subscriptions/hook";
    app.ask(Method::PUT, path, settings).await.json(200)
}

#[tokio::test]
async fn only_the_answer_that_made_a_secret_has_it() {
    let app = spawn_app();
    let settings = json!({"url": URL});
    let made = app.subscribe("hook", &settings).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert_eq!((secret.len(), &secret[..6]), (50, "whsec_"));
    assert_eq!(made["url"], URL);
    let changed = put(&app, &settings).await;
    assert_eq!(changed.get("secret"), None);
    assert_eq!(app.subscription("hook").await.get("secret"), None);
    let list = app.get("/subscriptions").await.text;
    assert!(!list.contains("whsec_"), "{list}");
    let rotated = json!({"url": URL, "secret": SECRET});
    assert_eq!(put(&app, &rotated).await.get("secret"), None);
    app.unsubscribe("hook").await;
    let given = app.subscribe("hook", &rotated).await;
    assert_eq!(given.get("secret"), None, "who gave it has it");
}

#[tokio::test]
async fn invalid_settings_are_refused_and_change_nothing() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let before = app.contents();
    let url = "https://backend.example.com/events";
    let long = format!("{url}?{}", "x".repeat(2048));
    for (settings, pointer) in [
        (json!({"url": "backend.example.com"}), "/url"),
        (json!({"url": "ftp://backend.example.com"}), "/url"),
        (
            json!({"url": "https://user:password@backend.example.com"}),
            "/url",
        ),
        (json!({"url": format!("{url}#part")}), "/url"),
        (json!({"url": long}), "/url"),
        (json!({"url": 7}), "/url"),
        (json!({"url": url, "secret": "secret"}), "/secret"),
        (json!({"url": url, "secret": "whsec_"}), "/secret"),
        (
            json!({"url": url, "secret": "whsec_dG9vIHNob3J0"}),
            "/secret",
        ),
        (
            json!({"url": url, "secret": SECRET.replace("whsec_", "")}),
            "/secret",
        ),
        (
            json!({"url": url, "secret": format!("whsec_{}", "AAAA".repeat(22))}),
            "/secret",
        ),
        (json!({"url": url, "paused": "yes"}), "/paused"),
        (json!({"secret": SECRET}), "/secret"),
        (json!({"paused": true}), "/paused"),
    ] {
        let answer = app
            .ask(Method::PUT, "/subscriptions/archive", &settings)
            .await;
        assert_eq!(answer.status, 400, "{settings}");
        answer.invalid_field(pointer);
    }
    for (path, body) in [
        ("dead/retry", json!({"ids": []})),
        ("dead/retry", json!({"ids": ["x"]})),
    ] {
        let path = format!("/subscriptions/archive/{path}");
        let answer = app.ask(Method::POST, &path, &body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    for query in ["limit=0", "limit=501", "cursor=x", "after=1"] {
        let answer = app
            .get(&format!("/subscriptions/archive/dead?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(app.contents(), before);
}
