//! Updates of inboxes that arrive late, as they can on a cluster.

use duologue::store::Keys;
use redis::Commands;
use reqwest::Method;
use serde_json::json;

use super::two_steps::{first_step, spawn};
use crate::harness::store::lua::{draft, keys_of_user, update_inbox};

#[tokio::test]
async fn a_late_update_does_not_bring_back_an_erased_row() {
    let app = spawn();
    app.send("bob", "alice", "one").await;
    // An update that another process sent, and that arrives after the erasure.
    let send = ["bob", "alice", &draft("bob", "alice", "late")];
    let late = first_step(&app, "send_message", &send);
    let erasure = app.request(Method::DELETE, "/users/alice").await.json(200);
    assert_eq!(erasure["done"], true);
    let mut redis = app.redis();
    assert_eq!(update_inbox(&mut redis, "alice", &late[3]), "stale");
    for key in keys_of_user("alice") {
        assert_eq!(redis.exists(&key), Ok(false), "{key}");
    }
    let guard = Keys::new().forgotten("alice", "bob");
    let seconds: u64 = redis.ttl(&guard).unwrap();
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    // The id can be used again at once.
    app.send("bob", "alice", "new").await;
    assert_eq!(app.badge("alice").await, [1, 1]);
    let inbox = app.inbox("alice", "").await;
    let conversations = inbox["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 1, "{inbox}");
    assert_eq!(conversations[0]["last_message"]["body"], "new");
    app.outboxes_are_empty().await;
}

#[tokio::test]
async fn an_erasure_finds_a_conversation_that_has_no_row_yet() {
    let app = spawn();
    let send = ["alice", "bob", &draft("alice", "bob", "secret")];
    let first = first_step(&app, "send_message", &send);
    let erasure = app.request(Method::DELETE, "/users/alice").await.json(200);
    assert_eq!(
        (&erasure["done"], &erasure["messages_erased"]),
        (&json!(true), &json!(1))
    );
    let mut redis = app.redis();
    assert_eq!(update_inbox(&mut redis, "alice", &first[2]), "stale");
    let [_, conversations, _] = keys_of_user("alice");
    assert_eq!(redis.exists(&conversations), Ok(false));
    assert!(!app.texts().contains("secret"));
}

#[tokio::test]
async fn the_first_update_of_a_row_may_be_overtaken() {
    let app = spawn();
    let send = ["alice", "bob", &draft("alice", "bob", "one")];
    let first = first_step(&app, "send_message", &send);
    app.send("alice", "bob", "two").await;
    assert_eq!(app.badge("bob").await, [2, 1]);
    assert_eq!(update_inbox(&mut app.redis(), "bob", &first[3]), "stale");
    assert_eq!(app.badge("bob").await, [2, 1]);
}
