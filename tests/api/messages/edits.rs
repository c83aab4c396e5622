//! `PATCH .../messages/{seq}`.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::auth::secured_app::{spawn_secured_app_with, token};
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, conversations::message_path, spawn_app};

/// A service in which alice has sent this message to bob.
pub async fn with_message(message: Value) -> (TestApp, Value) {
    let app = spawn_app();
    let mut whole = json!({"from": "alice", "to": "bob", "body": "hi"});
    for (name, value) in message.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let sent = app.post(&whole).await.json(201);
    (app, sent)
}

#[tokio::test]
async fn an_edit_changes_only_the_fields_it_names() {
    let url = |n: u8| json!([{"url": format!("https://example.com/{n}")}]);
    let given = json!({"attachments": url(1), "metadata": {"a": 1, "b": []}});
    let (app, sent) = with_message(given).await;
    let cases = [
        ("the text", json!({"body": "hello"})),
        ("an empty text with attachments", json!({"body": ""})),
        ("the attachments", json!({"attachments": url(2)})),
        ("the whole metadata", json!({"metadata": {"c": {}}})),
        ("empty metadata", json!({"metadata": {}})),
        (
            "everything, without attachments",
            json!({"body": "x", "attachments": [], "metadata": {"d": null}}),
        ),
    ];
    let mut expected = sent;
    for (reason, edit) in cases {
        let edited = app.edit("alice", "bob", 1, &edit).await.json(200);
        for (name, value) in edit.as_object().unwrap() {
            expected[name] = value.clone();
        }
        if expected["attachments"] == json!([]) {
            expected.as_object_mut().unwrap().remove("attachments");
        }
        expected["edited_at"] = edited["edited_at"].clone();
        assert_eq!(edited, expected, "{reason}");
        let length = edited["edited_at"].as_str().unwrap().len();
        assert_eq!(length, "2026-01-31T12:00:00.000Z".len());
        let read = app.peek("bob", "alice").await;
        assert_eq!(read["history"], json!([expected]), "{reason}");
        let inbox = app.inbox("bob", "").await;
        assert_eq!(inbox["conversations"][0]["last_message"], expected);
    }
    assert_eq!(
        app.badge("bob").await,
        [1, 1],
        "an edit is not unread again"
    );
}

#[tokio::test]
async fn an_old_message_is_edited_in_place() {
    let app = spawn_app();
    for n in 1..=5 {
        app.send("alice", "bob", &format!("{n}")).await;
    }
    app.edit("alice", "bob", 2, &json!({"body": "two"})).await;
    let page = app.read("bob", "alice").await;
    let bodies = page["history"].as_array().unwrap().iter();
    let bodies: Vec<_> = bodies.map(|m| m["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["5", "4", "3", "two", "1"]);
    let inbox = app.inbox("bob", "").await;
    assert_eq!(inbox["conversations"][0]["last_message"]["body"], "5");
}

#[tokio::test]
async fn only_the_author_edits_and_deletes_existing_messages() {
    let (app, sent) = with_message(json!({})).await;
    let edit = json!({"body": "mine"});
    let refused = app.edit("bob", "alice", 1, &edit).await;
    refused.problem(403, "FORBIDDEN");
    app.delete("bob", "alice", 1)
        .await
        .problem(403, "FORBIDDEN");
    for seq in [0, 2, 9007199254740991] {
        let missing = "MESSAGE_NOT_FOUND";
        app.message("alice", "bob", seq).await.problem(404, missing);
        let edited = app.edit("alice", "bob", seq, &edit).await;
        edited.problem(404, missing);
        app.delete("alice", "bob", seq).await.problem(404, missing);
        let users = ["bob", "alice"];
        let reacted = app.react(Method::PUT, users, seq, "👍").await;
        reacted.problem(404, missing);
    }
    // A cleared message no longer exists for the user who cleared it.
    app.clear("alice", "bob").await;
    for answer in [
        app.edit("alice", "bob", 1, &edit).await,
        app.react(Method::PUT, ["alice", "bob"], 1, "👍").await,
    ] {
        answer.problem(404, "MESSAGE_NOT_FOUND");
    }
    assert_eq!(app.peek("bob", "alice").await["history"], json!([sent]));
}

#[tokio::test]
async fn an_invalid_edit_is_refused_and_names_the_field() {
    let (app, sent) = with_message(json!({})).await;
    let url = "https://example.com/";
    let cases = [
        ("nothing but null", json!({"body": null}), "/body"),
        ("no text and no attachments", json!({"body": ""}), "/body"),
        (
            "a text too long",
            json!({"body": "x".repeat(10_001)}),
            "/body",
        ),
        (
            "too many attachments",
            json!({"attachments": vec![json!({"url": url}); 11]}),
            "/attachments",
        ),
        (
            "an invalid attachment",
            json!({"attachments": [{"url": "x"}]}),
            "/attachments/0/url",
        ),
        (
            "metadata too large",
            json!({"metadata": {"k": "x".repeat(4089)}}),
            "/metadata",
        ),
        (
            "another recipient",
            json!({"body": "x", "to": "carol"}),
            "/to",
        ),
        ("another seq", json!({"body": "x", "seq": 2}), "/seq"),
        (
            "another reply",
            json!({"body": "x", "reply_to": 1}),
            "/reply_to",
        ),
    ];
    for (reason, edit, pointer) in cases {
        let answer = app.edit("alice", "bob", 1, &edit).await;
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.invalid_field(pointer);
    }
    assert_eq!(app.message("alice", "bob", 1).await.json(200), sent);
}

/// Repeats a request as long as it conflicts with a concurrent change.
async fn retry_conflicts(request: reqwest::RequestBuilder) -> ApiResponse {
    loop {
        let again = request.try_clone().unwrap();
        let answer = ApiResponse::read(again.send().await.unwrap()).await;
        match answer.status {
            200 => return answer,
            _ => drop(answer.problem(409, "MESSAGE_CHANGED")),
        }
    }
}

#[tokio::test]
async fn concurrent_edits_and_reactions_are_all_kept() {
    let (app, _) = with_message(json!({})).await;
    let emoji = ["👍", "🎉", "😀", "🦊", "❤️", "🚀"];
    let mut requests = JoinSet::new();
    for user in [["alice", "bob"], ["bob", "alice"]] {
        for one in emoji {
            let path = format!("{}/reactions/{one}", message_path(user[0], user[1], 1));
            requests.spawn(retry_conflicts(
                app.client.put(format!("{}{path}", app.address)),
            ));
        }
    }
    let edits = [
        json!({"body": "edited"}),
        json!({"metadata": {"edited": true}}),
        json!({"attachments": [{"url": "https://example.com/"}]}),
    ];
    for edit in &edits {
        let path = message_path("alice", "bob", 1);
        let request = app.client.patch(format!("{}{path}", app.address));
        requests.spawn(retry_conflicts(request.json(edit)));
    }
    requests.join_all().await;
    let message = app.message("bob", "alice", 1).await.json(200);
    for edit in &edits {
        for (name, value) in edit.as_object().unwrap() {
            assert_eq!(&message[name], value);
        }
    }
    for one in emoji {
        let mut users: Vec<_> = message["reactions"][one].as_array().unwrap().clone();
        users.sort_by_key(ToString::to_string);
        assert_eq!(users, [json!("alice"), json!("bob")], "{one}");
    }
}

#[tokio::test]
async fn fields_an_edit_does_not_name_survive_byte_for_byte() {
    let metadata = r#"{"z":[],"a":{},"big":9007199254740993,"max":18446744073709551615,
        "min":-9223372036854775808,"x":0.1,"y":1e300,"tiny":5e-324,"zero":-0.0,"one":1.0,
        "huge":123456789012345678901234567890,"n":null,"é\u2028":"\u0000\ud83e\udd8a",
        "twice":1,"twice":2,"seq":7,"":"","body":"}","deleted_at":"x"}"#;
    let app = spawn_app();
    let text = format!(
        r#"{{"from":"alice","to":"bob","body":"\ud83e\udd8a \"q\" \\ \u0000","metadata":{metadata}}}"#
    );
    let sent = app.post_text(text).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    assert!(sent.text.contains(r#""big":9007199254740993"#), "exact");
    let users = ["bob", "alice"];
    app.react(Method::PUT, users, 1, "👍").await;
    let back = app.react(Method::DELETE, users, 1, "👍").await;
    assert_eq!(back.text, sent.text, "after adding and removing a reaction");
    let tail = sent.text.split_once(r#","metadata""#).unwrap().1;
    let edited = app.edit("alice", "bob", 1, &json!({"body": "x"})).await;
    let kept = tail.strip_suffix('}').unwrap();
    assert!(edited.text.contains(kept), "{} {kept}", edited.text);
    let read = app.message("bob", "alice", 1).await;
    assert_eq!(read.text, edited.text);
}

#[tokio::test]
async fn a_refused_edit_counts_against_the_rate_limit() {
    let app = spawn_secured_app_with(&["--send-rate", "1:4"]);
    let ask = async |method: Method, path: &str, body: Value| {
        let request = app.client.request(method, format!("{}{path}", app.address));
        let request = request.bearer_auth(token("alice")).json(&body);
        ApiResponse::read(request.send().await.unwrap()).await
    };
    let message = json!({"to": "bob", "body": "hi"});
    let sent = ask(Method::POST, "/messages", message).await;
    assert_eq!(sent.header("location"), message_path("alice", "bob", 1));
    let mut statuses = Vec::new();
    for seq in [1, 2, 3, 4, 5, 6] {
        let path = message_path("alice", "bob", seq);
        let answer = ask(Method::PATCH, &path, json!({"body": "x"})).await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..3], [200, 404, 404]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
}
