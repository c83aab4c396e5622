//! Messages that move from Redis to the archive.

use std::time::Duration;

use serde_json::json;

use crate::harness::archive::{HOT, pair, spawn_archived};
use crate::harness::eventually;

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
    // As if they had been sent without an archive.
    let [messages, _] = duologue::store::Keys::new().named(&name);
    let last =
        r#"{"seq":20,"from":"a","to":"b","id":"x","sent_at":"2096-01-31T12:00:00.000Z","body":""}"#;
    let _: u64 = redis::Commands::lpush(&mut app.redis(), messages, last).unwrap();
    app.find_long().await;
    eventually("they move", Duration::from_secs(10), async || {
        app.hot(&name) == HOT
    })
    .await;
}

#[tokio::test]
async fn a_message_that_changes_meanwhile_does_not_move() {
    let app = spawn_archived();
    for n in 0..14 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    app.send("alice", "carol", "hi").await;
    let name = pair("alice", "bob");
    let store = app.store.clone();
    store.find_nodes().await.unwrap();
    app.send("alice", "bob", "message 14").await;
    let taken = store.take_segment(&name).await.unwrap();
    if taken.is_empty() {
        // The worker was faster.
        return;
    }
    app.edit("alice", "bob", 3, &json!({"body": "edited"}))
        .await
        .json(200);
    let object = duologue::archive::ObjectName::of(&name, 1);
    let due = 9_999_999_999_999;
    store.note_object(&name, &object, due).await.unwrap();
    assert!(
        !store
            .seal_segment(&name, &object, due, &taken)
            .await
            .unwrap()
    );
    assert_eq!(
        app.message("bob", "alice", 3).await.json(200)["body"],
        "edited"
    );
}
