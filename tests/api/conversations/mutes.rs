//! Mutes that end at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::rfc3339;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::http::response::ApiResponse;
use crate::harness::live::device::Device;
use crate::harness::live::resume::kinds;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};
use crate::messages::expiry::{PATIENCE, schedule, scheduled};

/// Mutes alice for bob.
async fn mute(app: &TestApp, body: &Value) -> ApiResponse {
    app.ask(Method::PUT, "/conversations/bob/alice/mute", body)
        .await
}

/// Mutes alice for bob for some milliseconds; returns the end.
async fn mute_for(app: &TestApp, milliseconds: i64) -> String {
    let until = rfc3339(Utc::now() + TimeDelta::milliseconds(milliseconds));
    let state = mute(app, &json!({"until": until})).await.json(200);
    assert_eq!(
        (&state["muted"], &state["muted_until"]),
        (&json!(true), &json!(until))
    );
    until
}

async fn wait_until(time: &str) {
    let time: DateTime<Utc> = time.parse().unwrap();
    let left = time - Utc::now() + TimeDelta::milliseconds(20);
    sleep(left.to_std().unwrap_or_default()).await;
}

async fn muted_unread_count(app: &TestApp) -> Value {
    app.totals("bob").await["muted_unread_count"].clone()
}

/// `muted` and `muted_until` in each place where bob reads them: page, inbox, receipt and export.
async fn views(app: &TestApp) -> Vec<[Value; 2]> {
    let page = app.page("bob", "alice", "peek=true").await;
    let row = app.inbox("bob", "").await["conversations"][0].clone();
    let state = app.mark_delivered("bob", "alice", 1).await;
    let export = app.get("/users/bob/export").await.text;
    let export: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    let views = [page, row, state, export["conversation"].clone()];
    let views = views.iter();
    views
        .map(|view| [view["muted"].clone(), view["muted_until"].clone()])
        .collect()
}

#[tokio::test]
async fn a_mute_ends_at_its_time() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let mut devices = Vec::new();
    for user in ["bob", "alice"] {
        devices.push(Device::connect(&app, user).await);
    }
    let until = mute_for(&app, 3000).await;
    let muted = [json!(true), json!(until)];
    assert_eq!(views(&app).await, vec![muted; 4]);
    assert_eq!(muted_unread_count(&app).await, 1);
    let is_over = |event: &Value| event["muted_unread_count"] == 0;
    let events = devices[0].events_until(is_over).await;
    let began = events.iter().any(|event| event["muted_unread_count"] == 1);
    assert!(began, "{events:?}");
    assert_eq!(kinds(&events).last(), Some(&"conversation.changed"));
    assert!(rfc3339(Utc::now()) >= until, "not before its end");
    assert_eq!(views(&app).await, vec![[json!(false), Value::Null]; 4]);
    assert_eq!(muted_unread_count(&app).await, 0);
    assert_eq!(app.badge("bob").await, [1, 1]);
    let of_peer = devices[1].events_within(Duration::from_millis(200)).await;
    assert!(!kinds(&of_peer).contains(&"conversation.changed"));
    assert_eq!(scheduled(&app), [""; 0]);
}

#[tokio::test]
async fn until_is_a_time_within_10_years_or_absent() {
    let app = spawn_app();
    let now = Utc::now();
    let wrong = [
        json!(rfc3339(now - TimeDelta::seconds(1))),
        json!(rfc3339(now + TimeDelta::days(3700))),
        json!("10000-01-01T00:00:00Z"),
        json!("tomorrow"),
        json!(1_900_000_000),
        json!(true),
    ];
    for until in wrong {
        let refused = mute(&app, &json!({"until": until})).await;
        let refused = refused.problem(400, "INVALID_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], "/until", "{until}");
    }
    let unknown = mute(&app, &json!({"unit": null})).await;
    let unknown = unknown.problem(400, "INVALID_REQUEST");
    assert_eq!(unknown["errors"][0]["pointer"], "/unit");
    mute(&app, &json!([])).await.problem(400, "INVALID_REQUEST");
    let path = "/conversations/bob/alice/mute";
    let text = [("content-type", "text/plain")];
    let refused = app.call_text("PUT", path, &text, "{}".into()).await;
    refused.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let state = app.page("bob", "alice", "limit=0").await;
    assert_eq!(state["muted"], false, "nothing was changed");
    for (headers, body) in [
        (&[][..], ""),
        (&text, ""),
        (&[("content-type", "application/json")], ""),
    ] {
        let muted = app.call_text("PUT", path, headers, body.into()).await;
        assert_eq!(muted.json(200)["muted"], true, "{headers:?}");
    }
    for body in [json!({}), json!({"until": null}), Value::Null] {
        let state = mute(&app, &body).await.json(200);
        assert_eq!(
            (&state["muted"], &state["muted_until"]),
            (&json!(true), &Value::Null)
        );
    }
}

#[tokio::test]
async fn muting_again_replaces_the_time_and_unmuting_removes_it() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let first = mute_for(&app, 1000).await;
    let second = mute_for(&app, 600_000).await;
    wait_until(&first).await;
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(views(&app).await, vec![[json!(true), json!(second)]; 4]);
    assert_eq!(scheduled(&app).len(), 1);
    mute(&app, &json!({})).await.json(200);
    assert_eq!(views(&app).await, vec![[json!(true), Value::Null]; 4]);
    assert_eq!(scheduled(&app), [""; 0]);
    mute_for(&app, 600_000).await;
    let state = app.flag(Method::DELETE, "bob", "alice", "mute").await;
    assert_eq!(
        (&state["muted"], &state["muted_until"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(scheduled(&app), [""; 0]);
    assert_eq!(muted_unread_count(&app).await, 0);
}

#[tokio::test]
async fn a_mute_is_over_at_its_end_even_if_the_worker_is_late() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let until = mute_for(&app, 500).await;
    let _: usize = app.redis().del(schedule()).unwrap();
    wait_until(&until).await;
    assert_eq!(views(&app).await, vec![[json!(false), Value::Null]; 4]);
    app.send("alice", "bob", "two").await;
    assert_eq!(muted_unread_count(&app).await, 0);
    let again = mute_for(&app, 600_000).await;
    assert_eq!(views(&app).await, vec![[json!(true), json!(again)]; 4]);
    assert_eq!(muted_unread_count(&app).await, 2);
}

#[tokio::test]
async fn a_change_at_the_end_of_a_mute_does_not_suppress_its_event() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let mut bob = Device::connect(&app, "bob").await;
    let until = mute_for(&app, 1000).await;
    wait_until(&until).await;
    // This write ends the mute, probably before the worker does.
    app.mark_read("bob", "alice", 1).await;
    let mut changes = 0;
    // One event for the mute, and one for its end.
    bob.events_until(|event| {
        changes += usize::from(event["type"] == "conversation.changed");
        changes == 2
    })
    .await;
    assert_eq!(scheduled(&app), [""; 0]);
}

#[tokio::test]
async fn a_mute_that_ends_during_an_outage_ends_after_it() {
    let redis = RedisServer::volatile();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    apps[0].send("alice", "bob", "hi").await;
    let until = mute_for(&apps[1], 1000).await;
    drop(apps);
    wait_until(&until).await;
    let app = spawn_app_on(&redis.url());
    assert_eq!(views(&app).await, vec![[json!(false), Value::Null]; 4]);
    let follows = async || muted_unread_count(&app).await == 0;
    eventually("the totals follow", PATIENCE, follows).await;
    assert_eq!(app.badge("bob").await, [1, 1]);
}

#[tokio::test]
async fn an_erased_user_leaves_no_mute_in_the_schedule() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    mute_for(&app, 600_000).await;
    app.request(Method::DELETE, "/users/bob").await.json(200);
    assert_eq!(scheduled(&app), [""; 0]);
    app.send("alice", "bob", "to the new one").await;
    assert_eq!(views(&app).await, vec![[json!(false), Value::Null]; 4]);
}

#[tokio::test]
async fn a_mute_of_a_blocked_peer_in_a_cleared_conversation_ends() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    app.clear("bob", "alice").await;
    mute_for(&app, 500).await;
    let ended = async || scheduled(&app).is_empty();
    eventually("the mute ends", PATIENCE, ended).await;
    let page = app.page("bob", "alice", "peek=true").await;
    let flags = ["muted", "blocked"].map(|flag| page[flag].clone());
    assert_eq!(flags, [json!(false), json!(true)]);
    assert_eq!(app.inbox("bob", "").await["conversations"], json!([]));
}
