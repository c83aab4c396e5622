//! Imports of conversations whose messages are in the archive.

use std::time::Duration;

use serde_json::{Value, json};

use super::twins::Twins;
use crate::harness::archive::{ArchivedApp, HOT, pair, spawn_archived};
use crate::harness::eventually;
use crate::harness::http::response::ApiResponse;

async fn import(app: &ArchivedApp, lines: &str) -> ApiResponse {
    let headers = [("content-type", "application/x-ndjson")];
    app.call_text("POST", "/messages/batch", &headers, lines.to_owned())
        .await
}

/// 42 messages, one a minute.
fn history() -> String {
    let line = |n: u32| {
        let sent_at = format!("2026-01-31T12:{n:02}:00.000Z");
        json!({"from": "alice", "to": "bob", "body": "old", "sent_at": sent_at}).to_string()
    };
    let lines: Vec<_> = (1..=42).map(line).collect();
    lines.join("\n")
}

#[tokio::test]
async fn an_import_moves_its_messages_to_the_archive() {
    let app = spawn_archived();
    assert_eq!(import(&app, &history()).await.json(200)["imported"], 42);
    assert_eq!(
        app.hot(&pair("alice", "bob")),
        HOT + 2,
        "less than a segment above what stays"
    );
    let again = import(&app, &history()).await.json(200);
    assert_eq!(again, json!({"imported": 0, "skipped": 42}));
}

#[tokio::test]
async fn an_import_does_not_need_the_archive() {
    let app = spawn_archived();
    app.break_archive();
    assert_eq!(import(&app, &history()).await.json(200)["imported"], 42);
    let name = pair("alice", "bob");
    assert_eq!(app.hot(&name), 42);
    app.repair_archive();
    let moved = async || app.hot(&name) < HOT + 5;
    eventually("they move", Duration::from_secs(40), moved).await;
}

#[tokio::test]
async fn an_export_is_compared_with_the_archive() {
    let twins = Twins::with_messages(33).await;
    let app = &twins.archived;
    let export = app.get("/users/alice/export").await.text;
    let again = import(app, &export).await.json(200);
    assert_eq!(again, json!({"imported": 0, "skipped": 33}));
    // The same seqs in an export of another service are other messages.
    let other = twins.plain.get("/users/alice/export").await.text;
    let refused = import(app, &other).await.problem(409, "IMPORT_CONFLICT");
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 33, "{refused}");
    let detail = errors[0]["detail"].as_str().unwrap();
    assert!(detail.contains("Another message has this seq"), "{detail}");
    assert_eq!(refused["imported"], Value::from(0));
}
