//! The erasure of a user reaches into the archive.

use duologue::store::Keys;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::twins::Twins;
use crate::harness::archive::{pair, spawn_archived};
use crate::harness::keys;
use crate::harness::metrics::metric;

const USERS: &str = "/users/alice";

/// Twins with reactions of alice in the archive, and one message of hers that expires.
async fn twins() -> Twins {
    let twins = Twins::spawn();
    let message = json!({"from": "alice", "to": "bob", "body": "short", "expires_in": 3600});
    twins
        .same("POST", "/messages", &[], Some(&message))
        .await
        .json(201);
    twins.send(32, |seq| format!("message {seq}")).await;
    for app in [&twins.plain, &twins.archived.app] {
        for seq in [4, 7, 31] {
            let reacted = app.react(Method::PUT, ["alice", "bob"], seq, "👍").await;
            assert_eq!(reacted.status, 200, "{reacted:?}");
        }
    }
    twins
}

#[tokio::test]
async fn an_erased_user_leaves_tombstones_in_the_archive() {
    let twins = twins().await;
    twins.same_get("/conversations/bob").await;
    let erased = twins.same("DELETE", USERS, &[], None).await.json(200);
    assert_eq!(erased["messages_erased"], 23);
    twins.same_get("/conversations/bob").await;
    for query in ["after=0&limit=50", "before=20"] {
        let page = twins
            .same_get(&format!("/conversations/bob/alice?{query}"))
            .await;
        for message in page["history"].as_array().unwrap() {
            assert_eq!(
                message["from"] == "alice",
                message["body"] == "",
                "{message}"
            );
            assert_eq!(message["reactions"], Value::Null);
        }
    }
    // The id is in use again.
    let message = json!({"from": "alice", "to": "bob", "body": "again"});
    twins
        .same("POST", "/messages", &[], Some(&message))
        .await
        .json(201);
    twins.same_get("/conversations/alice/bob?after=0").await;
    twins
        .same("GET", "/conversations/alice/bob/messages/3", &[], None)
        .await;
    let deleted = twins
        .same("DELETE", "/conversations/alice/bob/messages/3", &[], None)
        .await;
    deleted.problem(404, "MESSAGE_NOT_FOUND");
}

#[tokio::test]
async fn a_conversation_of_two_erased_users_is_gone() {
    let twins = twins().await;
    twins.same("DELETE", USERS, &[], None).await.json(200);
    twins
        .same("DELETE", "/users/bob", &[], None)
        .await
        .json(200);
    let name = pair("alice", "bob");
    assert!(twins.archived.meta(&name, "archive").is_none());
    assert!(twins.archived.meta(&name, "segment:1").is_none());
    let message = json!({"from": "alice", "to": "bob", "body": "again"});
    let sent = twins.same("POST", "/messages", &[], Some(&message)).await;
    assert_eq!(sent.json(201)["seq"], 1);
}

#[tokio::test]
async fn an_erased_member_leaves_tombstones_in_a_room() {
    let twins = Twins::spawn();
    for app in [&twins.plain, &twins.archived.app] {
        app.open_room("general", &["alice", "bob"]).await;
    }
    for seq in 1..=33 {
        let from = if seq % 3 == 0 { "bob" } else { "alice" };
        let message = json!({"from": from, "to": "room:general", "body": format!("message {seq}")});
        twins
            .same("POST", "/messages", &[], Some(&message))
            .await
            .json(201);
    }
    twins.archived.archive("room:general").await;
    let erased = twins.same("DELETE", USERS, &[], None).await.json(200);
    assert_eq!(erased["messages_erased"], 22);
    let path = "/conversations/bob/room:general?after=0&limit=50&unread_limit=0";
    let page = twins.same_get(path).await;
    for message in page["history"].as_array().unwrap() {
        assert_eq!(
            message["from"] == "alice",
            message["body"] == "",
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_erasure_waits_for_the_archive_and_continues() {
    let twins = twins().await;
    let app = &twins.archived;
    app.break_archive();
    let refused = app.request(Method::DELETE, USERS).await;
    refused.problem(503, "ARCHIVE_UNAVAILABLE");
    app.repair_archive();
    assert_eq!(
        app.request(Method::DELETE, USERS).await.json(200)["done"],
        true
    );
    let page = app.page("bob", "alice", "after=0&limit=50").await;
    let bodies = page["history"].as_array().unwrap().iter();
    let mut of_alice = bodies.filter(|message| message["from"] == "alice");
    assert!(of_alice.all(|message| message["body"] == ""));
}

#[tokio::test]
async fn a_very_long_conversation_is_deleted_in_parts() {
    let app = spawn_archived();
    app.send("alice", "bob", "hi").await;
    app.request(Method::DELETE, "/users/bob").await.json(200);
    // As if it had so many segments.
    let (name, [_, meta]) = (pair("alice", "bob"), keys("alice", "bob"));
    let mut fields = vec![("archive".to_owned(), "1|2500|1|".to_owned())];
    let segment = |n: u32| (format!("segment:{n}"), format!("{n}|{n}||{n:016x}|"));
    fields.extend((1..=2500).map(segment));
    let _: () = app.redis().hset_multiple(&meta, &fields).unwrap();
    let erased = app.request(Method::DELETE, USERS).await.json(200);
    assert_eq!(erased["done"], true);
    assert!(!app.redis().exists::<_, bool>(&meta).unwrap());
    let garbage = Keys::new().garbage(&name);
    assert_eq!(app.redis().zcard::<_, u64>(&garbage).unwrap(), 2500);
    let calls = metric(
        &app,
        "duologue_script_duration_seconds_count{script=\"forget_conversation\"}",
    );
    assert!(calls.await > 3.5, "one for bob, and three for alice");
}
