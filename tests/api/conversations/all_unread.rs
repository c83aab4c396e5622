//! Many conversations or users in one request: `GET /unread` and `POST /users/{user}/read`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::create_conversations;
use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app, token};
use crate::harness::store::redis_proxy::RedisProxy;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on};

async fn mark_all_read(app: &TestApp, user: &str) -> Value {
    let path = format!("/users/{user}/read");
    app.request(Method::POST, &path).await.json(200)
}

/// The events of a user after a cursor, and the next cursor.
async fn poll(app: &TestApp, user: &str, after: &str) -> (Vec<Value>, String) {
    let page = app.get(&format!("/events?user={user}{after}")).await;
    let page = page.json(200);
    let next = format!("&after={}", page["next_cursor"].as_str().unwrap());
    (page["events"].as_array().unwrap().clone(), next)
}

#[tokio::test]
async fn a_backend_counts_the_unread_messages_of_many_users() {
    let app = spawn_app();
    for (from, to) in [
        ("alice", "bob"),
        ("carol", "bob"),
        ("alice", "bob"),
        ("bob", "alice"),
    ] {
        app.send(from, to, "hi").await;
    }
    let unread = app.get("/unread?users=bob,nobody,alice,bob").await;
    let of = |user, total, conversations| {
        let mut totals = json!({"user": user, "total_unread_count": total});
        totals["unread_conversations"] = json!(conversations);
        totals
    };
    let unread = unread.json(200);
    let users = unread["users"].as_array().unwrap();
    let expected = [
        of("bob", 3, 2),
        of("nobody", 0, 0),
        of("alice", 1, 1),
        of("bob", 3, 2),
    ];
    assert_eq!(users.len(), expected.len());
    for (found, expected) in users.iter().zip(expected) {
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&found[name], value, "{found}");
        }
    }
    let hundred = vec!["bob"; 100].join(",");
    let all = app.get(&format!("/unread?users={hundred}")).await.json(200);
    assert_eq!(all["users"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn counting_for_many_users_needs_a_backend_and_valid_ids() {
    let app = spawn_secured_app();
    let own = app.get_as(&token("bob"), "/unread?users=bob").await;
    own.problem(403, "FORBIDDEN");
    let too_many = format!("users={}", vec!["bob"; 101].join(","));
    for query in ["users=", "users=bob,", "users=bob,b%00b", "", &too_many] {
        let answer = app.get_as(SERVICE_KEY, &format!("/unread?{query}")).await;
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field("/query/users");
    }
}

#[tokio::test]
async fn marking_all_as_read_publishes_an_event_per_conversation() {
    let app = spawn_app();
    for (from, to) in [
        ("alice", "bob"),
        ("carol", "bob"),
        ("carol", "bob"),
        ("bob", "dave"),
    ] {
        app.send(from, to, "hi").await;
    }
    app.send("erin", "bob", "muted and blocked").await;
    app.flag(Method::PUT, "bob", "erin", "mute").await;
    app.flag(Method::PUT, "bob", "erin", "block").await;
    let (_, bob) = poll(&app, "bob", "").await;
    let (_, carol) = poll(&app, "carol", "").await;
    let (_, dave) = poll(&app, "dave", "").await;

    let marked = mark_all_read(&app, "bob").await;
    assert_eq!(marked, json!({"conversations": 3, "done": true}));
    assert_eq!(app.badge("bob").await, [0, 0]);
    for (peer, read_seq) in [("alice", 1), ("carol", 2), ("erin", 1), ("dave", 0)] {
        let page = app.peek("bob", peer).await;
        assert_eq!(
            (&page["unread_count"], &page["read_seq"]),
            (&json!(0), &json!(read_seq))
        );
        assert_eq!(
            app.peek(peer, "bob").await["peer_read_seq"],
            read_seq,
            "{peer}"
        );
    }
    let (events, bob) = poll(&app, "bob", &bob).await;
    let mut peers: Vec<_> = events
        .iter()
        .map(|event| event["peer"].as_str().unwrap())
        .collect();
    peers.sort_unstable();
    assert_eq!(peers, ["alice", "carol", "erin"]);
    assert!(
        events
            .iter()
            .all(|event| event["type"] == "conversation.read")
    );
    let (receipt, _) = poll(&app, "carol", &carol).await;
    assert_eq!(
        (receipt.len(), &receipt[0]["peer_read_seq"]),
        (1, &json!(2))
    );
    assert_eq!(poll(&app, "dave", &dave).await.0, Vec::<Value>::new());

    let again = mark_all_read(&app, "bob").await;
    assert_eq!(again, json!({"conversations": 0, "done": true}));
    assert_eq!(poll(&app, "bob", &bob).await.0, Vec::<Value>::new());
    let nobody = mark_all_read(&app, "nobody").await;
    assert_eq!(nobody, again, "a user without conversations");
}

#[tokio::test]
async fn a_thousand_conversations_are_marked_by_one_call() {
    let app = spawn_app();
    create_conversations(&app, "bob", 1_200);
    app.read("bob", "peer-7").await;
    assert_eq!(app.badge("bob").await, [1_199, 1_199]);
    let (mut conversations, mut done) = (0, false);
    while !done {
        let marked = mark_all_read(&app, "bob").await;
        conversations += marked["conversations"].as_u64().unwrap();
        done = marked["done"].as_bool().unwrap();
    }
    assert_eq!(conversations, 1_199);
    assert_eq!(app.badge("bob").await, [0, 0]);
    for peer in ["peer-1", "peer-7", "peer-1200"] {
        assert_eq!(app.peek(peer, "bob").await["peer_read_seq"], 1, "{peer}");
    }
}

#[tokio::test]
async fn a_slow_redis_ends_a_call_early_and_the_next_continues() {
    let redis = RedisServer::volatile();
    let proxy = RedisProxy::to(&redis);
    let app = spawn_app_on(&proxy.url());
    create_conversations(&app, "bob", 1_200);
    // The call marks 32 conversations at a time, so it finishes 640 in 2 seconds, at most.
    proxy.set_delay(Duration::from_millis(100));
    let first = mark_all_read(&app, "bob").await;
    proxy.set_delay(Duration::ZERO);
    let conversations = first["conversations"].as_u64().unwrap();
    assert_eq!(first["done"], false);
    assert!((32..=640).contains(&conversations), "{first}");
    let left = 1_200 - conversations;
    assert_eq!(app.badge("bob").await, [left, left]);
    let second = mark_all_read(&app, "bob").await;
    assert_eq!(second, json!({"conversations": left, "done": true}));
    assert_eq!(app.badge("bob").await, [0, 0]);
}
