//! `POST /messages`: required fields, limits, and how invalid fields are named.

use serde_json::{Value, json};

use super::send::message;
use crate::harness::{TestApp, spawn_app};

async fn assert_nothing_stored(app: &TestApp) {
    let size = app.contents().len();
    assert_eq!(size, 1, "the number of partitions and nothing else");
    assert_eq!(app.peek("bob", "alice").await["last_seq"], 0);
}

#[tokio::test]
async fn length_limits_are_exact() {
    let app = spawn_app();
    let url = |length: usize| format!("https://example.com/{}", "x".repeat(length - 20));
    let metadata = |bytes: usize| json!({"k": "x".repeat(bytes - 8)});
    let attachments = |count: usize| vec![json!({"url": url(30)}); count];
    let with = |name: &str, value: Value| {
        let mut attachment = json!({"url": url(30)});
        attachment[name] = value;
        json!({"attachments": [attachment]})
    };
    let cases = [
        (
            "/body",
            json!({"body": "é".repeat(10_000)}),
            json!({"body": "é".repeat(10_001)}),
        ),
        ("/body", json!({"body": "x"}), json!({"body": ""})),
        (
            "/body",
            json!({"body": "", "attachments": attachments(1)}),
            json!({"body": "", "attachments": []}),
        ),
        (
            "/attachments",
            json!({"attachments": attachments(10)}),
            json!({"attachments": attachments(11)}),
        ),
        (
            "/metadata",
            json!({"metadata": metadata(4096)}),
            json!({"metadata": metadata(4097)}),
        ),
        (
            "/from",
            json!({"from": "x".repeat(255)}),
            json!({"from": "x".repeat(256)}),
        ),
        (
            "/attachments/0/url",
            with("url", json!(url(2048))),
            with("url", json!(url(2049))),
        ),
        (
            "/attachments/0/name",
            with("name", json!("é".repeat(255))),
            with("name", json!("x".repeat(256))),
        ),
        (
            "/attachments/0/size",
            with("size", json!((1_u64 << 53) - 1)),
            with("size", json!(1_u64 << 53)),
        ),
        (
            "/attachments/0/width",
            with("width", json!(u32::MAX)),
            with("width", json!(1_u64 << 32)),
        ),
        (
            "/attachments/0/mime_type",
            with("mime_type", json!(format!("a/b; c={}", "x".repeat(248)))),
            with("mime_type", json!(format!("a/b; c={}", "x".repeat(249)))),
        ),
        (
            "/attachments/0/metadata",
            with("metadata", metadata(1024)),
            with("metadata", metadata(1025)),
        ),
        (
            "/attachments/0/duration_ms",
            with("duration_ms", json!(4_294_967_295.4)),
            with("duration_ms", json!(4_294_967_295.5)),
        ),
    ];
    for (pointer, within, beyond) in cases {
        let accepted = app.post(&message(&within)).await;
        assert_eq!(accepted.status, 201, "{pointer} {}", accepted.text);
        let refused = app.post(&message(&beyond)).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field(pointer);
    }
}

#[tokio::test]
async fn invalid_fields_are_refused_and_named() {
    let cases = [
        ("the sender as recipient", "/to", json!({"to": "alice"})),
        ("an id that is empty", "/from", json!({"from": ""})),
        (
            "an id with a comma, which joins pairs",
            "/from",
            json!({"from": "a,b"}),
        ),
        (
            "an id with a brace, which tags keys",
            "/to",
            json!({"to": "{b}"}),
        ),
        ("an id with a slash", "/to", json!({"to": "a/b"})),
        ("an id with a space", "/to", json!({"to": "bob "})),
        ("an id beyond ASCII", "/to", json!({"to": "bób"})),
        ("an id with a line break", "/to", json!({"to": "bob\n"})),
        ("an id with a NUL", "/to", json!({"to": "bob\u{0}"})),
        ("an id that is a number", "/to", json!({"to": 7})),
        ("an id that is null", "/to", json!({"to": null})),
        ("a body that is no string", "/body", json!({"body": ["hi"]})),
        ("a body that is null", "/body", json!({"body": null})),
        (
            "an unknown field",
            "/sent_at",
            json!({"sent_at": "2026-01-31T12:00:00.000Z"}),
        ),
        ("a field spelt differently", "/Body", json!({"Body": "hi"})),
        ("a place that the store gives", "/seq", json!({"seq": 1})),
        (
            "a reply to a negative seq",
            "/reply_to",
            json!({"reply_to": -1}),
        ),
        (
            "a reply to a fractional seq",
            "/reply_to",
            json!({"reply_to": 1.5}),
        ),
        (
            "a reply to a seq in words",
            "/reply_to",
            json!({"reply_to": "1"}),
        ),
        (
            "a reply to a seq above the maximum",
            "/reply_to",
            json!({"reply_to": 1_u64 << 53}),
        ),
        (
            "metadata that is an array",
            "/metadata",
            json!({"metadata": []}),
        ),
        (
            "metadata that is a string",
            "/metadata",
            json!({"metadata": "{}"}),
        ),
    ];
    assert_each_refused(&cases).await;
}

#[tokio::test]
async fn invalid_attachments_are_refused_and_named() {
    let url = "https://example.com/";
    let cases = [
        (
            "attachments that are an object",
            "/attachments",
            json!({"attachments": {}}),
        ),
        (
            "an attachment that is a string",
            "/attachments/0",
            json!({"attachments": [url]}),
        ),
        (
            "an attachment that is an array",
            "/attachments/0",
            json!({"attachments": [[url]]}),
        ),
        (
            "an attachment without url",
            "/attachments/0/url",
            json!({"attachments": [{}]}),
        ),
        (
            "an unknown field of the second attachment",
            "/attachments/1/uri",
            json!({"attachments": [{"url": url}, {"url": url, "uri": url}]}),
        ),
        (
            "a relative url",
            "/attachments/0/url",
            json!({"attachments": [{"url": "/menu.jpg"}]}),
        ),
        (
            "a javascript url",
            "/attachments/0/url",
            json!({"attachments": [{"url": "javascript:alert(1)"}]}),
        ),
        (
            "a url of a file",
            "/attachments/0/url",
            json!({"attachments": [{"url": "file:///etc/passwd"}]}),
        ),
        (
            "a url without host",
            "/attachments/0/url",
            json!({"attachments": [{"url": "https://"}]}),
        ),
        (
            "a media type without subtype",
            "/attachments/0/mime_type",
            json!({"attachments": [{"url": url, "mime_type": "image"}]}),
        ),
        (
            "a range of media types",
            "/attachments/0/mime_type",
            json!({"attachments": [{"url": url, "mime_type": "image/*"}]}),
        ),
        (
            "a media type with half a parameter",
            "/attachments/0/mime_type",
            json!({"attachments": [{"url": url, "mime_type": "text/plain; charset"}]}),
        ),
        (
            "two media types",
            "/attachments/0/mime_type",
            json!({"attachments": [{"url": url, "mime_type": "text/plain, text/html"}]}),
        ),
        (
            "a negative duration",
            "/attachments/0/duration_ms",
            json!({"attachments": [{"url": url, "duration_ms": -0.4}]}),
        ),
        (
            "metadata of an attachment that is an array",
            "/attachments/0/metadata",
            json!({"attachments": [{"url": url, "metadata": []}]}),
        ),
        (
            "a name that is empty",
            "/attachments/0/name",
            json!({"attachments": [{"url": url, "name": ""}]}),
        ),
        (
            "a negative size",
            "/attachments/0/size",
            json!({"attachments": [{"url": url, "size": -1}]}),
        ),
    ];
    assert_each_refused(&cases).await;
}

/// Sends messages that must be refused: reason, field, changed members.
async fn assert_each_refused(cases: &[(&str, &str, Value)]) {
    let app = spawn_app();
    for (reason, pointer, changes) in cases {
        let answer = app.post(&message(changes)).await;
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field(pointer);
    }
    assert_nothing_stored(&app).await;
}

#[tokio::test]
async fn missing_fields_are_named() {
    let app = spawn_app();
    for field in ["from", "to", "body"] {
        let mut message = message(&json!({}));
        message.as_object_mut().unwrap().remove(field);
        let answer = app.post(&message).await;
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field(&format!("/{field}"));
    }
    assert_nothing_stored(&app).await;
}

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let app = spawn_app();
    let answer = app
        .post_text(r#"{"from":"alice","to":"bob","body":"a","from":"carol"}"#)
        .await;
    answer.problem(400, "INVALID_REQUEST");
    answer.invalid_field("/from");
    assert_nothing_stored(&app).await;
}
