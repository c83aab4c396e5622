//! `If-Match` of every change of a message.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::edits::with_message;
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, conversations::message_path, spawn_app};

/// Edits message 1 of alice to bob conditionally.
async fn edit_if(app: &TestApp, tag: &[u8], edit: &Value) -> ApiResponse {
    let path = message_path("alice", "bob", 1);
    let request = app.client.patch(format!("{}{path}", app.address));
    let tag = reqwest::header::HeaderValue::from_bytes(tag).unwrap();
    let request = request.header("if-match", tag).json(edit);
    ApiResponse::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_conditional_edit_applies_only_to_its_version() {
    let (app, _) = with_message(json!({})).await;
    let tag = app
        .message("alice", "bob", 1)
        .await
        .header("etag")
        .to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    let of_bob = app.message("bob", "alice", 1).await;
    assert_eq!(of_bob.header("etag"), tag, "the same for both users");
    let edit = |body: &str| json!({"body": body});
    let edited = edit_if(&app, tag.as_bytes(), &edit("two")).await;
    assert_eq!(edited.json(200)["body"], "two");
    let next = edited.header("etag").to_owned();
    assert_ne!(next, tag);
    assert_eq!(app.message("bob", "alice", 1).await.header("etag"), next);
    let weak = format!("W/{next}");
    for stale in [tag.as_bytes(), b"\"\"", b"x", weak.as_bytes(), b"\xff"] {
        let refused = edit_if(&app, stale, &edit("three")).await;
        refused.problem(412, "PRECONDITION_FAILED");
    }
    // A reaction creates a new version too.
    app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    let refused = edit_if(&app, next.as_bytes(), &edit("three")).await;
    refused.problem(412, "PRECONDITION_FAILED");
    let edited = edit_if(&app, b"*", &edit("four")).await;
    assert_eq!(edited.json(200)["reactions"], json!({"👍": ["bob"]}));
}

/// Changes the message if it has one of the versions.
async fn change_if(app: &TestApp, method: &str, path: &str, tags: &str) -> ApiResponse {
    let headers = [("if-match", tags)];
    let edit = json!({"body": "edited"});
    let body = (method == "PATCH").then_some(&edit);
    app.call(method, path, &headers, body).await
}

#[tokio::test]
async fn if_match_is_evaluated_before_every_change() {
    let app = spawn_app();
    let path = message_path("alice", "bob", 1);
    let reaction = format!("{path}/reactions/%F0%9F%91%8D");
    let other = format!("\"{}\"", "0".repeat(40));
    let changes = [
        ("PATCH", &path),
        ("PUT", &reaction),
        ("DELETE", &reaction),
        ("DELETE", &path),
        ("DELETE", &path),
    ];
    let sent = app
        .post(&json!({"from": "alice", "to": "bob", "body": "hi"}))
        .await;
    let mut tag = sent.header("etag").to_owned();
    assert_eq!(
        app.message("bob", "alice", 1).await.header("etag"),
        tag,
        "the same as in the 201"
    );
    for (method, path) in changes {
        let before = app.contents();
        let weak = format!("W/{tag}");
        let unquoted = tag.trim_matches('"');
        for tags in [
            &*other,
            &weak,
            unquoted,
            "",
            "x",
            ",",
            &format!("{other}, {weak}"),
        ] {
            let refused = change_if(&app, method, path, tags).await;
            refused.problem(412, "PRECONDITION_FAILED");
        }
        assert_eq!(
            app.contents(),
            before,
            "{method} {path}: nothing was changed"
        );
        let changed = change_if(&app, method, path, &format!("{other} , {tag},\"x\"")).await;
        assert_eq!(changed.status, 200, "{method} {path}: {changed:?}");
        changed.header("etag").clone_into(&mut tag);
        let read = app.message("bob", "alice", 1).await;
        assert_eq!((read.header("etag"), &read.text), (&*tag, &changed.text));
    }
    assert_eq!(change_if(&app, "DELETE", &path, "*").await.status, 200);
}

#[tokio::test]
async fn other_errors_take_precedence_over_if_match() {
    let (app, _) = with_message(json!({})).await;
    let stale = "\"0\"";
    let case = async |method, path: &str| change_if(&app, method, path, stale).await;
    let missing = message_path("alice", "bob", 9);
    case("DELETE", &missing)
        .await
        .problem(404, "MESSAGE_NOT_FOUND");
    case("PATCH", &missing)
        .await
        .problem(404, "MESSAGE_NOT_FOUND");
    let foreign = message_path("bob", "alice", 1);
    case("DELETE", &foreign).await.problem(403, "FORBIDDEN");
    case("PATCH", &foreign).await.problem(403, "FORBIDDEN");
    app.delete("alice", "bob", 1).await.json(200);
    let own = message_path("alice", "bob", 1);
    case("PATCH", &own).await.problem(409, "MESSAGE_DELETED");
}

#[tokio::test]
async fn one_of_many_conditional_edits_wins() {
    let (app, _) = with_message(json!({})).await;
    let tag = app
        .message("alice", "bob", 1)
        .await
        .header("etag")
        .to_owned();
    let mut editors = JoinSet::new();
    for n in 0..8 {
        let path = message_path("alice", "bob", 1);
        let request = app.client.patch(format!("{}{path}", app.address));
        let request = request.header("if-match", &tag);
        let request = request.json(&json!({"body": format!("{n}")}));
        editors.spawn(async move { ApiResponse::read(request.send().await.unwrap()).await });
    }
    let answers = editors.join_all().await;
    let won: Vec<_> = answers.iter().filter(|a| a.status == 200).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 412).count(), 7);
    let message = app.message("alice", "bob", 1).await;
    assert_eq!(message.text, won[0].text);
}
