//! `null` for an optional member of a request counts as absent: the encoders of many languages write it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::import::import;
use crate::harness::live::device::Device;
use crate::harness::spawn_app;

#[tokio::test]
async fn null_in_a_request_counts_as_absent() {
    let app = spawn_app();
    let attachment = json!({
        "url": "https://files.example.com/1", "mime_type": null, "name": null, "size": null, "width": null,
        "height": null, "duration_ms": null, "metadata": null,
    });
    let message = json!({
        "from": "alice", "to": "bob", "body": "hi", "client_id": null, "reply_to": null,
        "attachments": [attachment], "metadata": null, "expires_in": null, "mentions": null,
    });
    let sent = app.post(&message).await.json(201);
    let members: Vec<_> = sent.as_object().unwrap().keys().collect();
    let present = ["seq", "from", "to", "id", "sent_at", "body", "attachments"];
    assert_eq!(members, present);
    let url = json!([{"url": "https://files.example.com/1"}]);
    assert_eq!(sent["attachments"], url);
    let without = json!({"from": "alice", "to": "bob", "body": "hi", "attachments": null});
    let sent = app.post(&without).await.json(201);
    assert_eq!(sent.get("attachments"), None);
    let bodies = [
        ("/conversations/bob/alice/mute", json!({"until": null})),
        ("/conversations/bob/alice/mute", Value::Null),
        (
            "/conversations/bob/alice/read",
            json!({"seq": 1, "private": null}),
        ),
    ];
    for (path, body) in bodies {
        app.ask(Method::PUT, path, &body).await.json(200);
    }
}

#[tokio::test]
async fn null_names_no_user() {
    let app = spawn_app();
    let message = json!({"from": null, "to": "bob", "body": "hi"});
    for (path, body) in [("/messages", message), ("/tickets", json!({"user": null}))] {
        let refused = app.ask(Method::POST, path, &body).await;
        refused.problem(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn null_in_a_command_counts_as_absent() {
    let app = spawn_app();
    let mut alice = Device::connect(&app, "alice").await;
    let commands = [
        json!({"type": "send", "from": null, "to": "bob", "body": "hi", "client_id": null,
            "idempotency_key": null}),
        json!({"type": "read", "peer": "bob", "seq": 1, "private": null}),
    ];
    for command in commands {
        assert_eq!(alice.ask(&command).await["type"], "ack", "{command}");
    }
}

#[tokio::test]
async fn null_in_a_line_of_an_import_counts_as_absent() {
    let app = spawn_app();
    let line = json!({
        "from": "alice", "to": "bob", "body": "hi", "sent_at": "2020-01-31T12:00:00Z", "id": null,
        "seq": null, "client_id": null, "reply_to": null, "attachments": null, "metadata": null,
        "edited_at": null, "expires_at": null, "deleted_at": null
    });
    assert_eq!(import(&app, &[line]).await.json(200)["imported"], 1);
}
