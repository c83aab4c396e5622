//! Messages of rooms: sending, reading and changing them.

use reqwest::Method;
use serde_json::json;

use crate::harness::live::device::Device;
use crate::harness::seqs;
use crate::harness::store::redis_server::set_full;
use crate::rooms::{badge_becomes, spawn_with_room};

#[tokio::test]
async fn a_message_to_a_room_is_unread_for_all_but_its_sender() {
    let app = spawn_with_room();
    for body in ["one", "two", "three"] {
        let sent = app.send("alice", "room:general", body).await;
        assert_eq!(sent["to"], "room:general");
    }
    for user in ["bob", "carol"] {
        badge_becomes(&app, user, [3, 1]).await;
        let row = &app.inbox(user, "").await["conversations"][0];
        assert_eq!(row["peer"], "room:general");
        assert_eq!(row["unread_count"], 3);
        assert_eq!(row["last_message"]["body"], "three");
        assert_eq!(row["room"], json!({"title": null, "member_count": 3}));
    }
    assert_eq!(app.badge("alice").await, [0, 0]);
    let row = &app.inbox("alice", "").await["conversations"][0];
    assert_eq!(
        (&row["unread_count"], &row["read_seq"]),
        (&json!(0), &json!(3))
    );
}

#[tokio::test]
async fn reading_a_room_resets_the_reader_only() {
    let app = spawn_with_room();
    for body in ["one", "two", "three"] {
        app.send("alice", "room:general", body).await;
    }
    badge_becomes(&app, "bob", [3, 1]).await;
    badge_becomes(&app, "carol", [3, 1]).await;
    let peeked = app.peek("bob", "room:general").await;
    assert_eq!(peeked["unread_count"], 3);
    assert_eq!(seqs(&peeked["unread"]), [3, 2, 1]);
    assert_eq!(app.badge("bob").await, [3, 1], "a peek marks nothing");
    let page = app.read("bob", "room:general").await;
    assert_eq!(seqs(&page["history"]), [3, 2, 1]);
    assert_eq!(
        (&page["user"], &page["peer"]),
        (&json!("bob"), &json!("room:general"))
    );
    assert_eq!(page["room"]["member_count"], 3);
    badge_becomes(&app, "bob", [0, 0]).await;
    assert_eq!(app.badge("carol").await, [3, 1]);
}

#[tokio::test]
async fn members_receive_the_events_of_a_room_in_order() {
    let app = spawn_with_room();
    let mut device = Device::connect(&app, "bob").await;
    for body in ["one", "two"] {
        app.send("alice", "room:general", body).await;
    }
    let mut prev = device.hello["cursor"].clone();
    for (seq, body) in [(1, "one"), (2, "two")] {
        let event = device.next().await;
        assert_eq!(event["type"], "message.created");
        assert_eq!(event["peer"], "room:general");
        assert_eq!(
            (&event["message"]["seq"], &event["message"]["body"]),
            (&json!(seq), &json!(body))
        );
        assert_eq!(event["prev"], prev, "without a gap");
        prev = event["cursor"].clone();
    }
    app.mark_read("bob", "room:general", 1).await;
    let event = device.next().await;
    assert_eq!(event["type"], "conversation.read");
    assert_eq!(
        (&event["unread_count"], &event["read_seq"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(event["prev"], prev);
}

#[tokio::test]
async fn a_message_of_a_room_is_changed_like_one_of_a_pair() {
    let app = spawn_with_room();
    app.send("alice", "room:general", "frist").await;
    let reply = json!({"from": "bob", "to": "room:general", "body": "a reply", "reply_to": 1});
    app.post(&reply).await.json(201);
    let no_message = json!({"from": "bob", "to": "room:general", "body": "a reply", "reply_to": 9});
    let refused = app.post(&no_message).await;
    refused.problem(422, "REPLY_TO_NOT_FOUND");
    let edited = app
        .edit("alice", "room:general", 1, &json!({"body": "first"}))
        .await;
    assert_eq!(edited.json(200)["body"], "first");
    let refused = app
        .edit("bob", "room:general", 1, &json!({"body": "mine"}))
        .await;
    assert_eq!(refused.status, 403);
    let thumb = "%F0%9F%91%8D";
    for (method, count) in [(Method::PUT, 1), (Method::DELETE, 0)] {
        let reacted = app
            .react(method, ["carol", "room:general"], 1, thumb)
            .await
            .json(200);
        let reactions = reacted["reactions"].as_object();
        assert_eq!(
            reactions.map_or(0, serde_json::Map::len),
            count,
            "{reacted}"
        );
    }
    let refused = app.delete("bob", "room:general", 1).await;
    refused.problem(403, "FORBIDDEN");
    let deleted = app.delete("bob", "room:general", 2).await.json(200);
    assert!(deleted["deleted_at"].is_string(), "by its author");
    app.send("bob", "room:general", "another").await;
    let deleted = app.delete("alice", "room:general", 3).await.json(200);
    assert_eq!(deleted["body"], "", "by an admin");
    let stored = app.message("carol", "room:general", 1).await.json(200);
    assert_eq!(stored["body"], "first");
    badge_becomes(&app, "carol", [3, 1]).await;
}

#[tokio::test]
async fn an_idempotency_key_sends_one_message_to_a_room() {
    let app = spawn_with_room();
    let message = json!({"from": "alice", "to": "room:general", "body": "once"});
    let first = app.send_with_key("key", &message).await.json(201);
    let again = app.send_with_key("key", &message).await;
    assert_eq!(again.json(200), first);
    let other = json!({"from": "alice", "to": "room:general", "body": "other"});
    assert_eq!(app.send_with_key("key", &other).await.status, 422);
    badge_becomes(&app, "bob", [1, 1]).await;
}

#[tokio::test]
async fn a_message_to_a_room_mentions_at_most_50_users() {
    let app = spawn_with_room();
    let users = |count: usize| (0..count).map(|n| format!("user-{n}")).collect::<Vec<_>>();
    let message = |to: &str, users: Vec<String>| json!({"from": "alice", "to": to, "body": "hi", "mentions": users});
    let sent = app
        .post(&message("room:general", users(50)))
        .await
        .json(201);
    assert_eq!(sent["mentions"], json!(users(50)));
    let stored = app.message("bob", "room:general", 1).await.json(200);
    assert_eq!(stored, sent);
    for refused in [message("room:general", users(51)), message("bob", users(1))] {
        app.post(&refused).await.invalid_field("/mentions");
    }
    assert_eq!(app.peek("bob", "room:general").await["last_seq"], 1);
    assert_eq!(app.peek("bob", "alice").await["last_seq"], 0);
}

#[tokio::test]
async fn a_full_redis_refuses_messages_to_a_room_and_serves_reads() {
    let app = spawn_with_room();
    app.send("alice", "room:general", "one").await;
    badge_becomes(&app, "bob", [1, 1]).await;
    badge_becomes(&app, "carol", [1, 1]).await;
    set_full(&mut app.redis(), true);
    let message = json!({"from": "alice", "to": "room:general", "body": "two"});
    app.post(&message).await.problem(507, "STORAGE_FULL");
    assert_eq!(app.message("bob", "room:general", 1).await.status, 200);
    assert_eq!(
        app.mark_read("bob", "room:general", 1).await["unread_count"],
        0
    );
    assert_eq!(app.read("carol", "room:general").await["unread_count"], 1);
    for user in ["bob", "carol"] {
        badge_becomes(&app, user, [0, 0]).await;
    }
}
