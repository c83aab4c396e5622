//! A message of the maximum size fits into a request, however it is escaped.

use std::fmt::Write;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::live::device::Device;
use crate::harness::spawn_app;

/// A message with every member at its maximum length, and `extra` members.
fn largest(extra: &Value) -> Value {
    let characters = |count: usize| "🦊".repeat(count);
    let attachment = json!({
        "url": format!("https://files.example.com/?{}", "&".repeat(2048 - 27)),
        "mime_type": format!("a/b; c={}", "x".repeat(248)),
        "name": characters(255),
        "size": (1_u64 << 53) - 1, "width": u32::MAX, "height": u32::MAX, "duration_ms": u32::MAX,
        "metadata": {"k": "x".repeat(1024 - 8)},
    });
    let mut message = json!({
        "to": "b".repeat(255),
        "client_id": characters(64),
        "body": characters(10_000),
        "attachments": vec![attachment; 10],
        "metadata": {"k": "x".repeat(4096 - 8)},
    });
    for (name, value) in extra.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

/// JSON with every character of every string escaped.
fn escaped(value: &Value) -> String {
    let text = |text: &str| {
        let units = text.encode_utf16();
        let escapes = units.fold(String::new(), |mut escapes, unit| {
            let _ = write!(escapes, "\\u{unit:04x}");
            escapes
        });
        format!("\"{escapes}\"")
    };
    match value {
        Value::String(string) => text(string),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(escaped).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{}: {}", text(name), escaped(value));
            let members: Vec<_> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn the_largest_message_fits_with_every_character_escaped() {
    let app = spawn_app();
    let (alice, bob) = ("a".repeat(255), "b".repeat(255));
    let http = escaped(&largest(&json!({"from": alice})));
    assert!(http.len() > 350_000, "{}", http.len());
    let sent = app.post_text(http).await.json(201);
    let mut device = Device::connect(&app, &alice).await;
    let members =
        json!({"type": "send", "ref": "🦊".repeat(64), "idempotency_key": "k".repeat(255)});
    let command = escaped(&largest(&members));
    device.send_raw(Message::text(command)).await.unwrap();
    let answer = loop {
        let answer = device.next().await;
        if answer["type"] != "message.created" {
            break answer;
        }
    };
    assert_eq!(answer["type"], "ack", "{}", answer["problem"]);
    for member in ["body", "client_id", "attachments", "metadata"] {
        assert_eq!(answer["message"][member], sent[member], "{member}");
    }
    let page = app.read(&bob, &alice).await;
    assert_eq!(page["history"], json!([answer["message"], sent]));
    let time = json!({"from": "c".repeat(255), "sent_at": "2019-01-31T12:00:00Z"});
    let line = escaped(&largest(&time));
    let headers = [("content-type", "application/x-ndjson")];
    let imported = app
        .call_text("POST", "/messages/batch", &headers, line)
        .await;
    assert_eq!(imported.json(200)["imported"], 1);
}
