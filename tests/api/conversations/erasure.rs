//! Exporting and erasing all data of a user.

use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::event_stream::EventStream;
use crate::harness::store::lua::open_stream;
use crate::harness::{TestApp, spawn_app};

/// The lines of an export.
async fn export(app: &TestApp, user: &str) -> Vec<Value> {
    let answer = app.get(&format!("/users/{user}/export")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = answer.text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn erase(app: &TestApp, user: &str) -> Value {
    let path = format!("/users/{user}");
    app.request(Method::DELETE, &path).await.json(200)
}

/// All keys that contain the id of a user.
fn keys_naming(app: &TestApp, user: &str) -> Vec<String> {
    let mut keys: Vec<String> = app.redis().keys("*").unwrap();
    keys.retain(|key| {
        key.rsplit(':')
            .next()
            .unwrap()
            .split(',')
            .any(|id| id == user)
    });
    keys.sort();
    keys
}

#[tokio::test]
async fn an_export_holds_every_message_of_every_conversation() {
    let app = spawn_app();
    for n in 0..450 {
        let peer = format!("peer{}", n % 3);
        app.send("alice", &peer, &format!("message {n}")).await;
        app.send(&peer, "alice", "answer").await;
    }
    app.send("bob", "carol", "not hers").await;
    let cleared = app.request(Method::DELETE, "/conversations/alice/peer1");
    assert_eq!(cleared.await.status, 200);

    let lines = export(&app, "alice").await;
    let conversations = lines
        .iter()
        .filter(|line| line.get("conversation").is_some());
    assert_eq!(conversations.count(), 3);
    let messages: Vec<_> = lines
        .iter()
        .filter_map(|line| line.get("message"))
        .collect();
    assert_eq!(messages.len(), 900, "cleared messages included");
    assert!(
        messages
            .iter()
            .all(|m| m["from"] == "alice" || m["to"] == "alice")
    );
    let first = messages.iter().find(|m| m["to"] == "peer0").unwrap();
    assert_eq!(first["seq"], 1, "the oldest comes first");
    assert!(export(&app, "nobody").await.is_empty());
}

#[tokio::test]
async fn an_erased_user_leaves_tombstones_and_no_inbox() {
    let app = spawn_app();
    for n in 0..250 {
        app.send("alice", "bob", &format!("secret {n}")).await;
    }
    app.send("bob", "alice", "answer").await;
    app.send("carol", "alice", "hello").await;
    assert_eq!(
        app.get("/users/bob/unread").await.json(200)["total_unread_count"],
        250
    );

    let done = erase(&app, "alice").await;
    assert_eq!(
        done,
        json!({"user": "alice", "conversations": 2, "messages_erased": 250, "done": true})
    );
    let inbox = app.get("/conversations/alice").await.json(200);
    assert_eq!(inbox["conversations"], json!([]));
    assert_eq!(inbox["total_unread_count"], 0);
    // The erased user's messages no longer count; messages of others stay.
    assert_eq!(
        app.get("/users/bob/unread").await.json(200)["total_unread_count"],
        0
    );
    let history = app.page("bob", "alice", "limit=200").await;
    assert_eq!(history["last_seq"], 251);
    assert_eq!(history["history"][0]["body"], "answer");
    let others = history["history"].as_array().unwrap().iter().skip(1);
    for message in others {
        assert_eq!(message["body"], "");
        assert!(message["deleted_at"].is_string());
    }
    assert!(app.texts().contains("answer"));
    assert!(!app.texts().contains("secret"), "nothing of it is left");
}

#[tokio::test]
async fn an_interrupted_erasure_resumes_and_repeats_nothing() {
    let app = spawn_app();
    for peer in ["bob", "carol"] {
        app.send("alice", peer, "secret").await;
    }
    // Simulates a process that died after the first conversation.
    erase(&app, "alice").await;
    app.send("alice", "dave", "back again").await;
    let again = erase(&app, "alice").await;
    assert_eq!(
        (&again["conversations"], &again["messages_erased"]),
        (&json!(1), &json!(1))
    );
    let nothing = erase(&app, "alice").await;
    assert_eq!(
        (&nothing["conversations"], &nothing["done"]),
        (&json!(0), &json!(true))
    );
}

#[tokio::test]
async fn nothing_that_others_do_revives_an_erased_user() {
    let app = spawn_app();
    open_stream(&mut app.redis(), "alice");
    app.send("alice", "bob", "mine").await;
    for _ in 0..3 {
        app.send("bob", "alice", "his").await;
    }
    app.flag(Method::PUT, "alice", "bob", "mute").await;
    erase(&app, "alice").await;
    let left = || {
        let kinds = keys_naming(&app, "alice").into_iter();
        let kinds = kinds.map(|key| key.split(':').nth(2).unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(left(), ["messages", "meta"], "bob's part remains");

    app.read("bob", "alice").await;
    app.mark_unread("bob", "alice", 1).await;
    app.mark_delivered("bob", "alice", 4).await;
    app.edit("bob", "alice", 2, &json!({"body": "edited"}))
        .await
        .json(200);
    app.react(Method::PUT, ["bob", "alice"], 3, "👍")
        .await
        .json(200);
    app.delete("bob", "alice", 4).await.json(200);
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    let typing = "/conversations/bob/alice/typing";
    assert_eq!(app.request(Method::POST, typing).await.status, 204);
    app.clear("bob", "alice").await;
    assert_eq!(left(), ["messages", "meta"]);
    assert_eq!(app.badge("alice").await, [0, 0]);
    assert_eq!(app.inbox("alice", "").await["conversations"], json!([]));
    assert_eq!(erase(&app, "alice").await["conversations"], 0);
}

#[tokio::test]
async fn an_id_used_again_begins_anew() {
    let app = spawn_app();
    let message = json!({"from": "alice", "to": "bob", "body": "once"});
    app.send_with_key("key", &message).await.json(201);
    for _ in 0..3 {
        app.send("bob", "alice", "old").await;
    }
    app.read("alice", "bob").await;
    for flag in ["mute", "block"] {
        app.flag(Method::PUT, "alice", "bob", flag).await;
    }
    erase(&app, "alice").await;

    let page = app.peek("alice", "bob").await;
    assert_eq!(
        (&page["history"], &page["unread"]),
        (&json!([]), &json!([]))
    );
    for (member, value) in [
        ("unread_count", json!(0)),
        ("muted", json!(false)),
        ("blocked", json!(false)),
    ] {
        assert_eq!(page[member], value, "{member}");
    }
    assert_eq!(app.peek("bob", "alice").await["peer_read_seq"], 0);
    let seen = app.message("alice", "bob", 2).await;
    seen.problem(404, "MESSAGE_NOT_FOUND");
    let deleted = app.delete("alice", "bob", 1).await;
    deleted.problem(404, "MESSAGE_NOT_FOUND");

    app.send("bob", "alice", "welcome").await;
    assert_eq!(app.badge("alice").await, [1, 1]);
    let page = app.read("alice", "bob").await;
    assert_eq!(page["history"].as_array().unwrap().len(), 1);
    assert_eq!(page["history"][0]["body"], "welcome");
    assert_eq!(app.mark_unread("alice", "bob", 1).await["unread_count"], 1);
    let again = app.send_with_key("key", &message).await;
    assert_eq!(again.json(201)["seq"], 6, "the idempotency key is deleted");
    assert_eq!(app.send_with_key("key", &message).await.status, 200);
    let answer = json!({"from": "alice", "to": "bob", "body": "x", "reply_to": 2});
    app.post(&answer).await.problem(422, "REPLY_TO_NOT_FOUND");
    let lines = export(&app, "alice").await;
    assert_eq!(lines.len(), 3, "the conversation and two messages");
}

#[tokio::test]
async fn reactions_and_events_of_an_erased_user_are_deleted() {
    let app = spawn_app();
    let mut bob = EventStream::open(&app, "bob", None).await;
    app.send("alice", "bob", "secret").await;
    assert_eq!(bob.next().await["message"]["body"], "secret");
    drop(bob);
    app.send("bob", "alice", "liked").await;
    for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
        app.react(Method::PUT, [user, peer], 2, "👍")
            .await
            .json(200);
    }
    app.react(Method::PUT, ["alice", "bob"], 2, "🎉")
        .await
        .json(200);
    erase(&app, "alice").await;
    let liked = app.message("bob", "alice", 2).await.json(200);
    assert_eq!(liked["reactions"], json!({"👍": ["bob"]}));
    assert!(!app.texts().contains("secret"), "and not in a journal");
    let events = app.get("/events?user=bob&after=1-1").await;
    assert_eq!(events.status, 200);
}

#[tokio::test]
async fn a_conversation_of_two_erased_users_is_deleted() {
    let app = spawn_app();
    let message = json!({"from": "bob", "to": "alice", "body": "once"});
    app.send("alice", "bob", "hi").await;
    app.send_with_key("key", &message).await.json(201);
    app.send("bob", "carol", "stays").await;
    erase(&app, "alice").await;
    erase(&app, "bob").await;
    let mut keys = keys_naming(&app, "alice");
    keys.retain(|key| !key.contains(":idempotency:"));
    assert_eq!(keys, Vec::<String>::new());
    assert_eq!(app.peek("carol", "bob").await["last_seq"], 1);
    let again = app.send("alice", "bob", "hi again").await;
    assert_eq!(again["seq"], 1);
    app.send("alice", "bob", "and again").await;
    let anew = app.send_with_key("key", &message).await.json(201);
    assert_eq!(anew["seq"], 3, "the earlier idempotency key is deleted");
}

#[tokio::test]
async fn a_cleared_message_returns_to_no_device() {
    let app = spawn_app();
    for body in ["one", "two"] {
        app.send("alice", "bob", body).await;
    }
    app.clear("bob", "alice").await;
    let mut bob = EventStream::open(&app, "bob", None).await;
    app.edit("alice", "bob", 1, &json!({"body": "again"}))
        .await
        .json(200);
    app.react(Method::PUT, ["alice", "bob"], 1, "👍")
        .await
        .json(200);
    app.delete("alice", "bob", 2).await.json(200);
    app.send("alice", "bob", "three").await;
    let next = bob.next().await;
    assert_eq!(
        (&next["type"], &next["message"]["body"]),
        (&json!("message.created"), &json!("three"))
    );
    app.edit("alice", "bob", 3, &json!({"body": "drei"}))
        .await
        .json(200);
    assert_eq!(bob.next().await["message"]["body"], "drei");
}
