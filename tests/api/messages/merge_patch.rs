//! `PATCH .../messages/{seq}`: removing, merging, and edits that change nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::edits::with_message;
use crate::harness::TestApp;
use crate::harness::conversations::message_path;
use crate::harness::http::response::ApiResponse;
use crate::harness::live::device::Device;

const MERGE_PATCH: &str = "application/merge-patch+json";

/// Patches message 1 of alice to bob.
async fn patch(app: &TestApp, media_type: &str, edit: &Value) -> ApiResponse {
    let path = message_path("alice", "bob", 1);
    let headers = [("content-type", media_type)];
    app.call("PATCH", &path, &headers, Some(edit)).await
}

#[tokio::test]
async fn null_removes_a_member() {
    for media_type in ["application/json", MERGE_PATCH] {
        let url = json!([{"url": "https://example.com/"}]);
        let given = json!({"attachments": url, "metadata": {"a": 1}});
        let (app, _) = with_message(given).await;
        let edited = patch(&app, media_type, &json!({"metadata": null})).await;
        assert_eq!(edited.json(200).get("metadata"), None);
        let edited = patch(&app, media_type, &json!({"body": null})).await;
        assert_eq!(edited.json(200)["body"], "");
        let refused = patch(&app, media_type, &json!({"attachments": null})).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field("/body");
        let both = json!({"body": "text", "attachments": null});
        let edited = patch(&app, media_type, &both).await.json(200);
        assert_eq!(
            (&edited["body"], edited.get("attachments")),
            (&json!("text"), None)
        );
    }
}

#[tokio::test]
async fn a_merge_patch_merges_metadata_at_every_depth() {
    let (app, _) = with_message(json!({"metadata": {"a": {"x": 1, "y": 2}, "b": [1, 2]}})).await;
    let steps = [
        (
            json!({"c": 3}),
            json!({"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 3}),
        ),
        (
            json!({"a": {"x": null, "z": 4}, "b": [null]}),
            json!({"a": {"y": 2, "z": 4}, "b": [null], "c": 3}),
        ),
        (
            json!({"a": null, "b": {"k": {}}}),
            json!({"b": {"k": {}}, "c": 3}),
        ),
    ];
    for (change, expected) in steps {
        let edited = patch(&app, MERGE_PATCH, &json!({"metadata": change})).await;
        assert_eq!(edited.json(200)["metadata"], expected);
    }
    let replaced = patch(&app, "application/json", &json!({"metadata": {"n": null}})).await;
    assert_eq!(replaced.json(200)["metadata"], json!({"n": null}));
    // The limit is that of the result.
    let large = |name: &str| json!({"metadata": {name: "x".repeat(2500)}});
    patch(&app, MERGE_PATCH, &large("one")).await.json(200);
    let refused = patch(&app, MERGE_PATCH, &large("two")).await;
    refused.problem(400, "INVALID_REQUEST");
    refused.invalid_field("/metadata");
}

#[tokio::test]
async fn accept_patch_lists_the_media_types_of_patch() {
    let (app, _) = with_message(json!({})).await;
    let path = message_path("alice", "bob", 1);
    let edit = json!({"body": "x"});
    let refused = patch(&app, "text/plain", &edit).await;
    refused.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let answers = [
        refused,
        patch(&app, "application/json", &edit).await,
        patch(&app, "application/merge-patch+json; charset=utf-8", &edit).await,
        app.message("alice", "bob", 1).await,
        app.call("OPTIONS", &path, &[], None).await,
    ];
    for answer in answers {
        let types = answer.header("accept-patch");
        assert_eq!(
            types, "application/json, application/merge-patch+json",
            "{answer:?}"
        );
    }
    let given = json!({"from": "alice", "to": "bob", "body": "hi"});
    let headers = [("content-type", MERGE_PATCH)];
    let refused = app.call("POST", "/messages", &headers, Some(&given)).await;
    refused.problem(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn an_edit_that_changes_nothing_notifies_nobody() {
    let attachment = json!({"url": "https://example.com/", "metadata": {"a": 1, "b": 2}});
    let given = json!({"attachments": [attachment], "metadata": {"a": 1, "b": 2}});
    let (app, sent) = with_message(given).await;
    let tag = app
        .message("alice", "bob", 1)
        .await
        .header("etag")
        .to_owned();
    let mut device = Device::connect(&app, "bob").await;
    let same = json!({"url": "https://example.com/", "metadata": {"b": 2.0, "a": 1}, "name": null});
    for edit in [
        json!({}),
        json!({"body": "hi"}),
        json!({"metadata": {"b": 2, "a": 1.0}}),
        json!({"attachments": [same]}),
        json!({"body": "hi", "attachments": [same], "metadata": {"a": 1, "b": 2}}),
    ] {
        let edited = app.edit("alice", "bob", 1, &edit).await;
        assert_eq!(edited.header("etag"), tag, "{edit}");
        assert_eq!(edited.json(200), sent, "{edit}");
    }
    assert_eq!(
        device.events_within(Duration::from_millis(300)).await,
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn metadata_alone_does_not_mark_a_message_as_edited() {
    let (app, sent) = with_message(json!({"metadata": {"a": 1}})).await;
    let mut device = Device::connect(&app, "bob").await;
    let mut expected = sent;
    for metadata in [json!({"a": 2}), json!({}), json!(null)] {
        let edited = app
            .edit("alice", "bob", 1, &json!({"metadata": metadata}))
            .await;
        expected["metadata"] = metadata.clone();
        if metadata.is_null() {
            expected.as_object_mut().unwrap().remove("metadata");
        }
        assert_eq!(edited.json(200), expected);
        let event = device.next().await;
        assert_eq!(
            (&event["type"], &event["message"]),
            (&json!("message.updated"), &expected)
        );
    }
    let text = json!({"body": "other", "metadata": {"a": 3}});
    let edited = app.edit("alice", "bob", 1, &text).await.json(200);
    assert!(edited["edited_at"].is_string());
}
