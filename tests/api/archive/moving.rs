//! Messages that move from Redis to the archive.

use std::time::Duration;

use duologue::archive::ObjectName;
use duologue::store::{Keys, MovingSegment};
use redis::Commands;
use serde_json::json;

use crate::harness::archive::{ArchivedApp, HOT, pair, spawn_archived};
use crate::harness::eventually;

/// When an object that does not count is deleted: never.
const DUE: i64 = 9_999_999_999_999;

#[tokio::test]
async fn older_messages_leave_redis_in_segments() {
    let app = spawn_archived();
    for n in 0..34 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    let name = pair("alice", "bob");
    app.archive(&name).await;
    assert_eq!(app.hot(&name), 14, "less than a segment above what stays");
    assert_eq!(app.objects().len(), 4);
    let archive = app.meta(&name, "archive").unwrap();
    assert!(archive.starts_with("1|4|1|20"), "{archive}");
    let segment = app.meta(&name, "segment:2").unwrap();
    assert!(segment.starts_with("6|10|20"), "{segment}");
    let page = app.page("bob", "alice", "before=6&limit=1&peek=true").await;
    assert_eq!(page["history"][0]["body"], "message 4");
    assert_eq!(page["unread_count"], 34);
}

#[tokio::test]
async fn the_worker_moves_messages_of_pairs_and_rooms() {
    let app = spawn_archived();
    app.open_room("general", &["alice", "bob"]).await;
    for n in 0..20 {
        app.send("alice", "bob", &format!("message {n}")).await;
        app.send("alice", "room:general", &format!("message {n}"))
            .await;
    }
    for name in [pair("alice", "bob"), "room:general".to_owned()] {
        let moved = async || app.hot(&name) == HOT;
        eventually("they move", Duration::from_secs(10), moved).await;
    }
    for peer in ["bob", "room:general"] {
        let path = format!("/conversations/alice/{peer}/messages/1");
        assert_eq!(app.get(&path).await.json(200)["body"], "message 0");
    }
    let metrics = app.get("/metrics").await.text;
    assert!(
        metrics.contains("duologue_archive_messages_total 20"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_search_finds_conversations_that_were_long_before() {
    let app = spawn_archived();
    for n in 0..19 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    let name = pair("alice", "bob");
    eventually("they move", Duration::from_secs(10), async || {
        app.hot(&name) == 14
    })
    .await;
    // As if it had been sent without an archive.
    let ([messages, meta], mut redis) = (Keys::new().named(&name), app.redis());
    let last =
        r#"{"seq":20,"from":"a","to":"b","id":"x","sent_at":"2096-01-31T12:00:00.000Z","body":""}"#;
    let _: u64 = redis.lpush(messages, last).unwrap();
    let state: String = redis.hget(&meta, "state").unwrap();
    let _: u64 = redis
        .hset(&meta, "state", state.replacen("19", "20", 1))
        .unwrap();
    app.find_long().await;
    eventually("they move", Duration::from_secs(10), async || {
        app.hot(&name) == HOT
    })
    .await;
}

/// A service with 15 messages of alice and bob, of which the first five are about to move by the returned object.
async fn with_moving_segment() -> (ArchivedApp, ObjectName, MovingSegment) {
    let name = pair("alice", "bob");
    loop {
        let app = spawn_archived();
        for n in 0..15 {
            app.send("alice", "bob", &format!("message {n}")).await;
        }
        app.store.find_nodes().await.unwrap();
        // Otherwise the worker was faster.
        if let Some(moving) = app.store.next_segment(&name).await.unwrap() {
            let object = ObjectName::of(&name, 1);
            let noted = app.store.note_object(&name, &object, DUE).await;
            noted.unwrap();
            return (app, object, moving);
        }
    }
}

#[tokio::test]
async fn a_message_that_changes_meanwhile_does_not_move() {
    let (app, object, moving) = with_moving_segment().await;
    let edit = json!({"body": "edited"});
    app.edit("alice", "bob", 3, &edit).await.json(200);
    let name = pair("alice", "bob");
    let sealed = app.store.seal_segment(&name, &object, DUE, &moving);
    assert!(!sealed.await.unwrap());
    let message = app.message("bob", "alice", 3).await.json(200);
    assert_eq!(message["body"], "edited");
}

#[tokio::test]
async fn messages_move_while_others_are_sent() {
    let (app, object, moving) = with_moving_segment().await;
    app.send("alice", "bob", "message 15").await;
    let name = pair("alice", "bob");
    let seal = async || app.store.seal_segment(&name, &object, DUE, &moving).await;
    let sealed = seal().await.unwrap();
    // The worker may have moved them before.
    assert!(sealed || app.hot(&name) == 11);
    assert!(!seal().await.unwrap(), "only once");
    assert_eq!(app.hot(&name), 11);
}
