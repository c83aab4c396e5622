//! Texts without visible characters are refused like the empty text.

use serde_json::json;

use super::send::message;
use crate::harness::spawn_app;

/// Texts without any visible character.
const BLANK: [&str; 16] = [
    "",
    " ",
    " \t\r\n",
    "\u{a0}\u{2003}\u{3000}",
    "\u{200b}",
    "\u{200d}\u{200c}",
    "\u{feff}",
    "\u{2060}\u{ad}",
    "\u{202e}\u{2066}",
    "\u{fe0f}",
    "\u{e0061}\u{e007f}",
    "\u{3164}",
    "\u{115f}\u{1160}\u{ffa0}",
    "\u{2800}",
    "\u{180e}\u{34f}\u{17b4}",
    "\u{0}\u{1b}\u{fff9}",
];

#[tokio::test]
async fn an_invisible_text_needs_an_attachment() {
    let app = spawn_app();
    let attachments = json!([{"url": "https://example.com/"}]);
    for text in BLANK {
        let refused = app.post(&message(&json!({"body": text}))).await;
        assert_eq!(refused.status, 400, "{text:?}");
        refused.invalid_field("/body");
        let with_file = json!({"body": text, "attachments": attachments});
        let sent = app.post(&message(&with_file)).await.json(201);
        assert_eq!(sent["body"], text);
    }
    let sent = app.send("alice", "bob", "x").await;
    let seq = sent["seq"].as_u64().unwrap();
    for text in BLANK {
        let edited = app.edit("alice", "bob", seq, &json!({"body": text})).await;
        assert_eq!(edited.status, 400, "{text:?}");
        edited.invalid_field("/body");
    }
    let line = json!({"from": "carol", "to": "bob", "body": "\u{200b}", "sent_at": "2019-01-31T12:00:00Z"});
    let headers = [("content-type", "application/x-ndjson")];
    let imported = app.call_text("POST", "/messages/batch", &headers, line.to_string());
    imported.await.invalid_field("/0/body");
}

#[tokio::test]
async fn a_text_with_one_visible_character_is_sent_unchanged() {
    let app = spawn_app();
    for text in [
        " x ",
        "\u{200b}.",
        "👍\u{fe0f}",
        "👨\u{200d}👩",
        "\u{301}",
        "\u{600}",
        "한",
        "\u{2801}",
        "🏴\u{e0067}\u{e007f}",
        "\u{fffc}",
        "\n?",
    ] {
        let sent = app.post(&message(&json!({"body": text}))).await;
        assert_eq!(sent.status, 201, "{text:?}");
        assert_eq!(sent.json(201)["body"], text);
    }
}
