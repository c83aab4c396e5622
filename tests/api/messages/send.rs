//! `POST /messages`.

use serde_json::{Value, json};

use crate::harness::{TestApp, seqs, spawn_app};

/// A message from alice to bob with changed members.
fn message(changes: &Value) -> Value {
    let mut message = json!({"from": "alice", "to": "bob", "body": "Hi"});
    for (name, value) in changes.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

async fn assert_nothing_stored(app: &TestApp) {
    let size: u64 = redis::cmd("DBSIZE").query(&mut app.redis()).unwrap();
    assert_eq!(size, 1, "the number of partitions and nothing else");
    assert_eq!(app.peek("bob", "alice").await["last_seq"], 0);
}

#[tokio::test]
async fn sending_returns_the_whole_message() {
    let app = spawn_app();
    let before = chrono::Utc::now();
    let sent = app.send("alice", "bob", "Lunch at one?").await;
    let members: Vec<_> = sent.as_object().unwrap().keys().collect();
    assert_eq!(members, ["seq", "id", "from", "to", "sent_at", "body"]);
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

#[tokio::test]
async fn user_ids_may_hold_every_allowed_character() {
    let app = spawn_app();
    let long = "x".repeat(64);
    for id in ["A", "a", "0", ".", "..", "-", "_~@", "a@b.example", &long] {
        let sent = app.send(id, "peer", "hi").await;
        assert_eq!(sent["from"], id);
        // HTTP clients resolve a path segment of one or two dots before they send it.
        if !id.starts_with('.') {
            assert_eq!(app.read("peer", id).await["unread"], json!([sent]), "{id}");
        }
    }
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
            json!({"from": "x".repeat(64)}),
            json!({"from": "x".repeat(65)}),
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
            with("mime_type", json!(format!("a/{}", "x".repeat(125)))),
            with("mime_type", json!(format!("a/{}", "x".repeat(126)))),
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
            "an id with a colon, which joins pairs",
            "/from",
            json!({"from": "a:b"}),
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
            "a reply to a negative place",
            "/reply_to",
            json!({"reply_to": -1}),
        ),
        (
            "a reply to half a place",
            "/reply_to",
            json!({"reply_to": 1.5}),
        ),
        (
            "a reply to a place in words",
            "/reply_to",
            json!({"reply_to": "1"}),
        ),
        (
            "a reply past all places",
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
            "attachments that are null",
            "/attachments",
            json!({"attachments": null}),
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
            "a url that runs",
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
            "a media type with parameters",
            "/attachments/0/mime_type",
            json!({"attachments": [{"url": url, "mime_type": "text/plain; charset=utf-8"}]}),
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
