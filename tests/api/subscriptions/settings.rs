//! Creating, changing, listing and deleting subscriptions.

use duologue::store::Keys;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::{interrupt, open_store};
use crate::harness::auth::secured_app::spawn_secured_app;
use crate::harness::http::calls::By;
use crate::harness::subscriptions::bodies;
use crate::harness::{TestApp, spawn_app};

async fn put(app: &TestApp, name: &str, headers: &[(&str, &str)], body: &Value) -> u16 {
    let path = format!("/subscriptions/{name}");
    app.call("PUT", &path, headers, Some(body)).await.status
}

#[tokio::test]
async fn a_subscription_is_created_once_and_then_changed() {
    let app = spawn_app();
    let made = app.subscribe("archive", &json!({"ack_wait_s": 60})).await;
    assert_eq!(made["state"], "open");
    assert_eq!((&made["lag"], &made["pending"]), (&json!(0), &json!(0)));
    let only_new = [("if-none-match", "*")];
    assert_eq!(put(&app, "archive", &only_new, &json!({})).await, 412);
    assert_eq!(app.subscription("archive").await["ack_wait_s"], 60);
    app.send("alice", "bob", "kept while it is changed").await;
    let types = json!({"types": ["message.created"]});
    assert_eq!(put(&app, "archive", &[], &types).await, 200);
    let changed = app.subscription("archive").await;
    assert_eq!(changed["types"], json!(["message.created"]));
    assert_eq!(changed["created_at"], made["created_at"]);
    assert_eq!(changed["lag"], 1);
    assert_eq!(put(&app, "other", &only_new, &json!({})).await, 201);
    let list = app.get("/subscriptions").await.json(200);
    assert_eq!(list["subscriptions"][0], changed);
    assert_eq!(list["subscriptions"][1]["name"], "other");
}

#[tokio::test]
async fn lag_and_pending_count_what_is_not_acknowledged() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    for n in 0..3 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    let state = app.subscription("archive").await;
    assert_eq!((&state["lag"], &state["pending"]), (&json!(3), &json!(0)));
    assert!(state["oldest_at"].is_string(), "{state}");
    let events = app.take_with("archive", "limit=2&consumer=c").await;
    let state = app.subscription("archive").await;
    assert_eq!((&state["lag"], &state["pending"]), (&json!(1), &json!(2)));
    let consumer = json!([{"name": "c", "pending": 2, "idle_s": 0}]);
    assert_eq!(state["consumers"], consumer);
    app.ack("archive", "c", &events).await;
    app.drain("archive").await;
    let state = app.subscription("archive").await;
    assert_eq!((&state["lag"], &state["pending"]), (&json!(0), &json!(0)));
    assert_eq!(state["oldest_at"], Value::Null);
    assert_eq!(state["consumers"], json!([]));
}

#[tokio::test]
async fn a_deleted_subscription_leaves_nothing_in_redis() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    app.subscribe("one", &json!({})).await;
    app.subscribe("two", &json!({})).await;
    app.subscribe_to_badges("three").await;
    app.send("alice", "bob", "counted").await;
    app.take("three", "c").await;
    app.unsubscribe("three").await;
    app.unsubscribe("one").await;
    let path = "/subscriptions/one";
    app.get(path).await.problem(404, "SUBSCRIPTION_NOT_FOUND");
    let again = app.request(Method::DELETE, path).await;
    again.problem(404, "SUBSCRIPTION_NOT_FOUND");
    app.send("carol", "dave", "kept for two").await;
    assert_eq!(app.take("two", "c").await.len(), 2);
    app.unsubscribe("two").await;
    assert_eq!(
        app.request(Method::DELETE, "/users/carol").await.status,
        200
    );
    assert_eq!(app.request(Method::DELETE, "/users/dave").await.status, 200);
    let mut redis = app.redis();
    let left: Vec<String> = redis.keys("dm:*").unwrap();
    let feeds = ["feed", "readers", "badges", "subscriptions"];
    let left = left
        .iter()
        .filter(|key| feeds.iter().any(|end| key.ends_with(end)));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_name_that_is_used_again_begins_anew() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    app.send("alice", "bob", "old").await;
    app.take("archive", "c").await;
    app.unsubscribe("archive").await;
    app.subscribe("archive", &json!({})).await;
    assert_eq!(app.take("archive", "c").await, [] as [Value; 0]);
    app.send("alice", "bob", "new").await;
    assert_eq!(bodies(&app.take("archive", "d").await), ["new"]);
}

#[tokio::test]
async fn a_33rd_subscription_is_refused() {
    let app = spawn_app();
    for n in 0..32 {
        app.subscribe(&format!("s{n}"), &json!({"rooms": ["general"]}))
            .await;
    }
    let more = app
        .ask(Method::PUT, "/subscriptions/more", &json!({}))
        .await;
    more.problem(409, "TOO_MANY_SUBSCRIPTIONS");
    assert_eq!(put(&app, "s3", &[], &json!({})).await, 200);
    app.unsubscribe("s7").await;
    app.subscribe("more", &json!({})).await;
}

#[tokio::test]
async fn invalid_requests_are_refused_and_change_nothing() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let before = app.contents();
    let long = "x".repeat(65);
    let many: Vec<_> = (0..101).map(|n| format!("r{n}")).collect();
    for (path, body, pointer) in [
        ("archive", json!({"types": ["badge.moved"]}), "/types/0"),
        ("archive", json!({"types": []}), "/types"),
        ("archive", json!({"rooms": ["a b"]}), "/rooms/0"),
        ("archive", json!({"rooms": many}), "/rooms"),
        ("archive", json!({"ack_wait_s": 4}), "/ack_wait_s"),
        ("archive", json!({"ack_wait_s": 601}), "/ack_wait_s"),
        ("archive", json!({"from": "middle"}), "/from"),
        ("archive", json!({"password": "s"}), "/password"),
        ("a,b", json!({}), "/path/name"),
        (long.as_str(), json!({}), "/path/name"),
    ] {
        let path = format!("/subscriptions/{path}");
        let answer = app.ask(Method::PUT, &path, &body).await;
        assert_eq!(answer.status, 400, "{body}");
        answer.invalid_field(pointer);
    }
    for (path, body, pointer) in [
        ("ack", json!({"ids": ["512-1-0"]}), "/ids/0"),
        ("ack", json!({"ids": ["17-1"]}), "/ids/0"),
        ("ack", json!({"ids": []}), "/ids"),
        (
            "ack",
            json!({"ids": ["1-1-0"], "consumer": "a,b"}),
            "/consumer",
        ),
        ("seek", json!({"to": "yesterday"}), "/to"),
    ] {
        let path = format!("/subscriptions/archive/{path}");
        let answer = app.ask(Method::POST, &path, &body).await;
        assert_eq!(answer.status, 400, "{body}");
        answer.invalid_field(pointer);
    }
    for (query, pointer) in [
        ("limit=0", "/query/limit"),
        ("limit=501", "/query/limit"),
        ("wait=31", "/query/wait"),
        ("consumer=", "/query/consumer"),
        ("consumer=a%20b", "/query/consumer"),
    ] {
        let path = format!("/subscriptions/archive/events?{query}");
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 400, "{query}");
        answer.invalid_field(pointer);
    }
    assert_eq!(app.contents(), before);
}

#[tokio::test]
async fn an_unknown_subscription_is_not_found() {
    let app = spawn_app();
    let path = "/subscriptions/none";
    let unknown = "SUBSCRIPTION_NOT_FOUND";
    app.get(path).await.problem(404, unknown);
    for query in ["", "?wait=5"] {
        let events = app.get(&format!("{path}/events{query}")).await;
        events.problem(404, unknown);
    }
    let ack = json!({"ids": ["1-1-0"]});
    let ack = app.ask(Method::POST, &format!("{path}/ack"), &ack).await;
    ack.problem(404, unknown);
    let seek = json!({"to": "start"});
    let seek = app.ask(Method::POST, &format!("{path}/seek"), &seek).await;
    seek.problem(404, unknown);
}

#[tokio::test]
async fn only_backends_use_subscriptions() {
    let app = spawn_secured_app();
    let (path, settings) = ("/subscriptions/archive", json!({}));
    for (caller, status) in [(By::User("alice"), 403), (By::Backend, 201)] {
        let set = app.by(caller, "PUT", path, Some(&settings)).await;
        assert_eq!(set.status, status);
        let waiting = format!("{path}/events?wait=1");
        let waits = app.by(caller, "GET", &waiting, None).await;
        assert_eq!(waits.status == 403, status == 403, "{waits:?}");
    }
}

#[tokio::test]
async fn an_interrupted_creation_or_deletion_is_completed() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let mut redis = app.redis();
    let feed = Keys::new().feed("alice,bob");
    let () = redis.del(&feed).unwrap();
    interrupt(&app, "archive", "opening");
    assert_eq!(app.subscription("archive").await["state"], "opening");
    assert_eq!(app.take("archive", "c").await, [] as [Value; 0]);
    let store = open_store(&app);
    for stored in store.read_subscriptions().await.unwrap() {
        assert!(store.complete_subscription(&stored).await.unwrap());
    }
    assert_eq!(app.subscription("archive").await["state"], "open");
    app.send("alice", "bob", "heard").await;
    assert_eq!(bodies(&app.take("archive", "c").await), ["heard"]);
    interrupt(&app, "archive", "closing");
    let unknown = "SUBSCRIPTION_NOT_FOUND";
    let events = app.get("/subscriptions/archive/events").await;
    events.problem(404, unknown);
    for stored in store.read_subscriptions().await.unwrap() {
        assert!(store.complete_subscription(&stored).await.unwrap());
    }
    assert!(!redis.exists::<_, bool>(&feed).unwrap());
    assert!(!redis.exists::<_, bool>("dm:subscriptions").unwrap());
}
