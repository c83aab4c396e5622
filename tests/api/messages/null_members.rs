//! `null` for an optional member is refused where it has no meaning of its own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::import::import;
use crate::harness::live::device::Device;
use crate::harness::spawn_app;

/// A message whose only unusual member is this one.
fn message(name: &str, value: &Value) -> Value {
    let mut message = json!({"from": "alice", "to": "bob", "body": "hi"});
    message[name] = value.clone();
    message
}

#[tokio::test]
async fn null_is_no_value_of_an_optional_member() {
    let app = spawn_app();
    let of_message = [
        "from",
        "client_id",
        "reply_to",
        "attachments",
        "metadata",
        "expires_in",
    ];
    for name in of_message {
        let refused = app.post(&message(name, &Value::Null)).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field(&format!("/{name}"));
    }
    let of_attachment = [
        "mime_type",
        "name",
        "size",
        "width",
        "height",
        "duration_ms",
        "metadata",
    ];
    for name in of_attachment {
        let mut attachment = json!({"url": "https://files.example.com/1"});
        attachment[name] = Value::Null;
        let refused = app
            .post(&message("attachments", &json!([attachment])))
            .await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field(&format!("/attachments/0/{name}"));
    }
    let null_user = json!({"user": null});
    let refused = app.ask(Method::POST, "/tickets", &null_user).await;
    refused.problem(400, "INVALID_REQUEST");
    refused.invalid_field("/user");
    let path = "/conversations/alice/bob/mute";
    let refused = app.ask(Method::PUT, path, &Value::Null).await;
    refused.problem(400, "INVALID_REQUEST");
    assert_eq!(app.page("bob", "alice", "").await["last_seq"], 0);
}

#[tokio::test]
async fn null_is_no_value_of_a_member_of_a_command() {
    let app = spawn_app();
    let mut alice = Device::connect(&app, "alice").await;
    let commands = [
        (
            "client_id",
            json!({"type": "send", "to": "bob", "body": "hi", "client_id": null}),
        ),
        (
            "idempotency_key",
            json!({"type": "send", "to": "bob", "body": "hi", "idempotency_key": null}),
        ),
        (
            "private",
            json!({"type": "read", "peer": "bob", "seq": 1, "private": null}),
        ),
    ];
    for (name, command) in commands {
        let refused = alice.ask(&command).await;
        let field = &refused["problem"]["errors"][0]["pointer"];
        assert_eq!(*field, format!("/{name}"), "{refused}");
    }
}

#[tokio::test]
async fn null_in_a_line_of_an_import_means_absent() {
    let app = spawn_app();
    let line = json!({
        "from": "alice", "to": "bob", "body": "hi", "sent_at": "2020-01-31T12:00:00Z", "id": null,
        "seq": null, "client_id": null, "reply_to": null, "attachments": null, "metadata": null,
        "edited_at": null, "expires_at": null, "deleted_at": null
    });
    assert_eq!(import(&app, &[line]).await.json(200)["imported"], 1);
}
