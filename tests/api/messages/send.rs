//! `POST /messages`.

use serde_json::{Value, json};

use crate::harness::{seqs, spawn_app};

/// A message from alice to bob with changed members.
pub fn message(changes: &Value) -> Value {
    let mut message = json!({"from": "alice", "to": "bob", "body": "Hi"});
    for (name, value) in changes.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

#[tokio::test]
async fn sending_returns_the_whole_message() {
    let app = spawn_app();
    let before = chrono::Utc::now();
    let sent = app.send("alice", "bob", "Lunch at one?").await;
    let members: Vec<_> = sent.as_object().unwrap().keys().collect();
    assert_eq!(members, ["seq", "from", "to", "id", "sent_at", "body"]);
    assert_eq!(sent["seq"], 1);
    assert_eq!(
        (&sent["from"], &sent["to"]),
        (&json!("alice"), &json!("bob"))
    );
    assert_eq!(sent["body"], "Lunch at one?");
    let id: uuid::Uuid = sent["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let sent_at = sent["sent_at"].as_str().unwrap();
    assert_eq!(sent_at.len(), "2026-01-31T12:00:00.000Z".len());
    assert!(sent_at.ends_with('Z'));
    let sent_at: chrono::DateTime<chrono::Utc> = sent_at.parse().unwrap();
    assert!((sent_at - before).num_seconds().abs() < 5);
}

#[tokio::test]
async fn the_stored_message_is_the_response_byte_for_byte() {
    let app = spawn_app();
    let given = message(&json!({
        "body": "\u{1F98A} \"quoted\" \\ / \n \u{0} \u{2028} é", "attachments": [],
        "metadata": {"z": [], "a": {}, "big": 9007199254740993u64, "min": i64::MIN, "x": 0.1, "n": null},
    }));
    let sent = app.post(&given).await;
    assert_eq!(sent.status, 201);
    let read = app.get("/conversations/bob/alice").await;
    assert!(read.text.contains(&format!(r#""history":[{}]"#, sent.text)));
    assert_eq!(sent.json(201)["metadata"], given["metadata"]);
    assert_eq!(sent.json(201)["body"], given["body"]);
}

#[tokio::test]
async fn the_location_header_leads_to_the_message() {
    let app = spawn_app();
    app.send("alice", "bob", "one").await;
    let two = app.post(&message(&json!({"body": "two"}))).await;
    app.send("alice", "bob", "three").await;
    let found = app.get(two.header("location")).await.json(200);
    assert_eq!(found, two.json(201));
    let of_bob = app.message("bob", "alice", 2).await;
    assert_eq!(of_bob.text, two.text, "byte for byte, to both");
    assert_eq!(app.peek("alice", "bob").await["peer_read_seq"], 0);
    assert_eq!(app.read("bob", "alice").await["unread_count"], 3);
}

#[tokio::test]
async fn a_message_may_be_empty_when_it_has_an_attachment() {
    let app = spawn_app();
    let attachment = json!({
        "url": "https://files.example.com/menu.jpg", "mime_type": "image/jpeg", "name": "menu.jpg",
        "size": 48213, "width": 1024, "height": 768, "duration_ms": 0,
    });
    let sent = app
        .post(&message(&json!({"body": "", "attachments": [attachment]})))
        .await
        .json(201);
    assert_eq!(sent["attachments"], json!([attachment]));
    assert_eq!(sent["body"], "");
}

#[tokio::test]
async fn a_reply_names_a_message_of_the_same_conversation() {
    let app = spawn_app();
    app.send("alice", "carol", "another conversation").await;
    app.send("alice", "carol", "of two messages").await;
    app.send("alice", "bob", "one").await;
    for seq in [0, 2, 9007199254740991_u64] {
        let answer = app.post(&message(&json!({"reply_to": seq}))).await;
        answer.problem(422, "REPLY_TO_NOT_FOUND");
        answer.invalid_field("/reply_to");
    }
    let reply = json!({"from": "bob", "to": "alice", "body": "two", "reply_to": 1});
    assert_eq!(app.post(&reply).await.json(201)["reply_to"], 1);
    let none = app
        .post(&message(&json!({"reply_to": null})))
        .await
        .json(201);
    assert!(none.get("reply_to").is_none());
    assert_eq!(seqs(&app.read("bob", "alice").await["history"]), [3, 2, 1]);
}
