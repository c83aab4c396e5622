//! Exporting and erasing everything of a user.

use reqwest::Method;
use serde_json::{Value, json};

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
    assert_eq!(messages.len(), 900, "what she cleared is hers too");
    assert!(
        messages
            .iter()
            .all(|m| m["from"] == "alice" || m["to"] == "alice")
    );
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
