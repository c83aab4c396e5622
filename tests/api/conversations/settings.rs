//! `PATCH /conversations/{user}/{peer}`: archived, pinned, metadata.

use std::time::Duration;

use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::peers;
use crate::harness::contract::assert_fits;
use crate::harness::live::device::Device;
use crate::harness::live::resume::{place, polled};
use crate::harness::store::lua;
use crate::harness::{TestApp, keys, spawn_app};

const MERGE_PATCH: &str = "application/merge-patch+json";

/// A service with a message of alice to bob.
async fn with_message() -> TestApp {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    app
}

/// The settings of bob with alice in an answer.
fn settings(state: &Value) -> Value {
    json!([state["archived"], state["pinned"], state["metadata"]])
}

/// Merges metadata into that of bob with alice.
async fn merge(app: &TestApp, metadata: Value) -> Value {
    let headers = [("content-type", MERGE_PATCH)];
    let patch = json!({"metadata": metadata});
    let path = "/conversations/bob/alice";
    let state = app.call("PATCH", path, &headers, Some(&patch)).await;
    state.json(200)["metadata"].clone()
}

#[tokio::test]
async fn settings_are_answered_listed_and_kept() {
    let app = with_message().await;
    let none = json!([false, false, null]);
    assert_eq!(settings(&app.peek("bob", "alice").await), none);
    let patch = json!({"archived": true, "pinned": true, "metadata": {"folder": "work"}});
    let state = app.patch("bob", "alice", &patch).await.json(200);
    let all = json!([true, true, {"folder": "work"}]);
    assert_eq!(
        (settings(&state), &state["unread_count"]),
        (all.clone(), &json!(1))
    );
    assert_eq!(app.inbox("bob", "").await["conversations"], json!([state]));
    // Neither reading, nor marks, nor clearing change them.
    assert_eq!(settings(&app.read("bob", "alice").await), all);
    app.mark_unread("bob", "alice", 1).await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    assert_eq!(settings(&app.clear("bob", "alice").await), all);
    assert_eq!(settings(&app.peek("alice", "bob").await), none, "not hers");
}

#[tokio::test]
async fn a_patch_changes_only_what_it_names() {
    let app = with_message().await;
    for (patch, expected) in [
        (json!({"pinned": true}), json!([false, true, null])),
        (
            json!({"metadata": {"a": {"x": 1}}}),
            json!([false, true, {"a": {"x": 1}}]),
        ),
        (
            json!({"archived": true}),
            json!([true, true, {"a": {"x": 1}}]),
        ),
        (json!({}), json!([true, true, {"a": {"x": 1}}])),
        (
            json!({"pinned": null, "archived": null}),
            json!([false, false, {"a": {"x": 1}}]),
        ),
        (
            json!({"metadata": {"b": null}}),
            json!([false, false, {"b": null}]),
        ),
        (json!({"metadata": {}}), json!([false, false, {}])),
        (json!({"metadata": null}), json!([false, false, null])),
        (
            json!({"metadata": null, "pinned": false}),
            json!([false, false, null]),
        ),
    ] {
        let state = app.patch("bob", "alice", &patch).await.json(200);
        assert_eq!(settings(&state), expected, "{patch}");
        let page = app.peek("bob", "alice").await;
        assert_eq!(settings(&page), expected, "{patch}");
    }
    let [.., meta] = keys("alice", "bob");
    let left: bool = app.redis().hexists(meta, "metadata:bob").unwrap();
    assert!(!left, "nothing is left of metadata that was removed");
}

#[tokio::test]
async fn a_merge_patch_merges_the_metadata_of_a_conversation() {
    let app = with_message().await;
    for (change, expected) in [
        (
            json!({"a": {"x": 1, "y": 2}}),
            json!({"a": {"x": 1, "y": 2}}),
        ),
        (
            json!({"a": {"x": null}, "b": [1]}),
            json!({"a": {"y": 2}, "b": [1]}),
        ),
        (json!({"a": null}), json!({"b": [1]})),
        (json!(null), json!(null)),
        (json!({"c": 1}), json!({"c": 1})),
    ] {
        assert_eq!(merge(&app, change).await, expected);
    }
    // A request fails once for each of the others, at most, and is tried five times.
    let merged = (0..5).map(|n| merge(&app, json!({format!("m{n}"): n})));
    futures_util::future::join_all(merged).await;
    let metadata = app.peek("bob", "alice").await["metadata"].clone();
    assert_eq!(
        metadata.as_object().unwrap().len(),
        6,
        "none is lost: {metadata}"
    );
}

#[tokio::test]
async fn only_a_new_message_brings_an_archived_conversation_back() {
    let app = with_message().await;
    app.send("carol", "bob", "hi").await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    let archive = json!({"archived": true});
    for sender in ["alice", "bob"] {
        for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
            app.patch(user, peer, &archive).await.json(200);
        }
        app.read("bob", "alice").await;
        app.mark_unread("bob", "alice", 1).await;
        app.edit("alice", "bob", 1, &json!({"body": sender}))
            .await
            .json(200);
        app.react(Method::PUT, ["alice", "bob"], 1, "%F0%9F%91%8D")
            .await;
        let archived = app.inbox("bob", "archived=true").await;
        assert_eq!(peers(&archived), ["alice"]);
        assert_eq!(peers(&app.inbox("bob", "archived=false").await), ["carol"]);
        assert_eq!(
            peers(&app.inbox("bob", "").await).len(),
            2,
            "both without the filter"
        );
        assert_eq!(app.badge("bob").await[1], 2, "it is counted as before");
        let peer = if sender == "bob" { "alice" } else { "bob" };
        app.send(sender, peer, "new").await;
        for user in ["alice", "bob"] {
            let none = app.inbox(user, "archived=true").await;
            assert_eq!(peers(&none), Vec::<&str>::new(), "{sender} to {user}");
        }
    }
}

#[tokio::test]
async fn settings_are_told_to_the_users_own_devices_only() {
    let app = with_message().await;
    let mut alice = Device::connect(&app, "alice").await;
    let mut bob = Device::connect(&app, "bob").await;
    let patch = json!({"archived": true, "metadata": {"a": 1}});
    app.patch("bob", "alice", &patch).await.json(200);
    let is_change = |event: &Value| event["type"] == "conversation.changed";
    let told = bob.events_until(is_change).await;
    assert_eq!(told.last().unwrap()["peer"], "alice");
    for same in [
        &patch,
        &json!({}),
        &json!({"archived": true, "pinned": false}),
    ] {
        app.patch("bob", "alice", same).await.json(200);
    }
    for device in [&mut bob, &mut alice] {
        let more = device.events_within(Duration::from_millis(300)).await;
        assert!(!more.iter().any(is_change), "{more:?}");
    }
}

#[tokio::test]
async fn a_device_that_resumes_from_before_the_journal_gets_settings() {
    let app = with_message().await;
    let begin = place(&app, "bob").await;
    app.send("carol", "bob", "hi").await;
    let pin = json!({"pinned": true});
    app.patch("bob", "alice", &pin).await.json(200);
    let [_, _, journal] = lua::keys_of_user("bob");
    app.redis().del::<_, ()>(journal).unwrap();
    let told = polled(&app, "bob", &begin, &[50]).await;
    let told = told.iter().map(|event| [&event["type"], &event["peer"]]);
    let changed = json!("conversation.changed");
    let expected = [[&changed, &json!("carol")], [&changed, &json!("alice")]];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_invalid_setting_is_refused_and_names_the_field() {
    let app = with_message().await;
    let too_long = json!({"metadata": {"k": "x".repeat(1017)}});
    for (patch, pointer) in [
        (json!({"archived": 1}), "/archived"),
        (json!({"pinned": "true"}), "/pinned"),
        (json!({"metadata": []}), "/metadata"),
        (json!({"metadata": "x"}), "/metadata"),
        (json!({"muted": true}), "/muted"),
        (json!({"archived": true, "x": 1}), "/x"),
        (too_long, "/metadata"),
    ] {
        let refused = app.patch("bob", "alice", &patch).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field(pointer);
    }
    let longest = json!({"metadata": {"k": "x".repeat(1016)}});
    app.patch("bob", "alice", &longest).await.json(200);
    let headers = [("content-type", MERGE_PATCH)];
    let more = json!({"metadata": {"l": 1}, "pinned": true});
    let path = "/conversations/bob/alice";
    let refused = app.call("PATCH", path, &headers, Some(&more)).await;
    refused.problem(400, "INVALID_REQUEST");
    refused.invalid_field("/metadata");
    let page = app.peek("bob", "alice").await;
    assert_eq!(
        (&page["pinned"], &page["metadata"]),
        (&json!(false), &longest["metadata"])
    );
    let itself = app.patch("bob", "bob", &json!({})).await;
    itself.invalid_field("/path/peer");
}

#[tokio::test]
async fn what_a_patch_of_a_conversation_takes_is_named() {
    let app = with_message().await;
    let path = "/conversations/bob/alice";
    let text = [("content-type", "text/plain")];
    let refused = app.call("PATCH", path, &text, Some(&json!({}))).await;
    refused.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    for answer in [
        refused,
        app.patch("bob", "alice", &json!({})).await,
        app.get(path).await,
        app.call("OPTIONS", path, &[], None).await,
    ] {
        let types = answer.header("accept-patch");
        assert_eq!(
            types, "application/json, application/merge-patch+json",
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn an_export_has_the_settings_and_an_erasure_takes_them() {
    let app = with_message().await;
    let patch = json!({"archived": true, "pinned": true, "metadata": {"a": 1}});
    app.patch("bob", "alice", &patch).await.json(200);
    let export = app.get("/users/bob/export").await.text;
    for line in export.lines() {
        assert_fits("ExportLine", &serde_json::from_str(line).unwrap());
    }
    let first: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    let expected = json!({
        "peer": "alice", "blocked": false, "muted": false, "muted_until": null, "archived": true, "pinned": true,
        "metadata": {"a": 1},
    });
    assert_eq!(first["conversation"], expected);
    let of_alice = app.get("/users/alice/export").await.text;
    assert!(
        of_alice.contains(r#""pinned":false,"metadata":null"#),
        "{of_alice}"
    );
    app.request(Method::DELETE, "/users/bob").await.json(200);
    let meta: Vec<(String, String)> = app.redis().hgetall(&keys("alice", "bob")[1]).unwrap();
    assert!(
        !meta.iter().any(|(field, _)| field == "metadata:bob"),
        "{meta:?}"
    );
    app.send("alice", "bob", "to the next bob").await;
    let page = app.peek("bob", "alice").await;
    assert_eq!(settings(&page), json!([false, false, null]));
}
