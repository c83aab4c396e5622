//! What the retention drops of the archive, and the objects that no longer count.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use duologue::metrics::Metrics;
use duologue::model::{Retention, rfc3339};
use duologue::store::Store;
use duologue::worker::retention::sweep;
use redis::Commands;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::twins::Twins;
use crate::harness::archive::{
    ArchivedApp, pair, spawn_archived, spawn_archived_with, store_of, url_of,
};
use crate::harness::eventually;

/// The number of objects that wait to be deleted.
fn garbage(app: &ArchivedApp) -> u64 {
    let mut redis = app.redis();
    let keys: Vec<String> = redis.keys("dm:{*}:garbage").unwrap();
    keys.iter()
        .map(|key| redis.zcard::<_, u64>(key).unwrap())
        .sum()
}

#[tokio::test]
async fn a_limit_of_messages_reaches_into_the_archive() {
    let twins = Twins::spawn_with(&["--history-limit", "22"]);
    for _ in 0..7 {
        twins.send(7, |seq| format!("message {seq}")).await;
        for path in [
            "/conversations/bob",
            "/conversations/alice",
            "/conversations/alice/bob?after=0&peek=true",
        ] {
            twins.same_get(path).await;
        }
    }
    let body = json!({"seq": 30});
    twins
        .same("POST", "/conversations/bob/alice/unread", &[], Some(&body))
        .await;
    for seq in 27..=30 {
        twins
            .same(
                "GET",
                &format!("/conversations/alice/bob/messages/{seq}"),
                &[],
                None,
            )
            .await;
    }
    twins.send(4, |seq| format!("later {seq}")).await;
    twins.same_get("/conversations/bob").await;
}

/// Imports 30 messages, of which the first 12 were sent ten days ago, and archives them.
async fn import_old(twins: &Twins) {
    let line = |n: i64| {
        let days = if n <= 12 { 10 } else { 1 };
        let sent_at = Utc::now() - TimeDelta::days(days) + TimeDelta::seconds(n);
        let from = ["alice", "bob"][usize::try_from(n % 2).unwrap()];
        let to = if from == "alice" { "bob" } else { "alice" };
        json!({"from": from, "to": to, "body": format!("message {n}"), "sent_at": rfc3339(sent_at)})
            .to_string()
    };
    let lines: Vec<_> = (1..=30).map(line).collect();
    let headers = [("content-type", "application/x-ndjson")];
    for app in [&twins.plain, &twins.archived.app] {
        let imported = app.call_text("POST", "/messages/batch", &headers, lines.join("\n"));
        assert_eq!(imported.await.json(200)["imported"], 30);
        app.mark_unread("bob", "alice", 1).await;
    }
    twins.archived.archive(&pair("alice", "bob")).await;
}

#[tokio::test]
async fn the_sweep_drops_what_is_too_old_in_the_archive() {
    let twins = Twins::spawn();
    import_old(&twins).await;
    let retention = Retention {
        messages: 0,
        days: 5,
    };
    let metrics = Arc::new(Metrics::new());
    let plain = Store::new(&twins.plain.redis_url, None, retention, metrics).unwrap();
    let archived = store_of(
        &twins.archived,
        &url_of(twins.archived.folder.path()),
        retention,
    );
    let stop = CancellationToken::new();
    assert_eq!(sweep(&plain, &stop).await.unwrap(), 12);
    assert_eq!(sweep(&archived, &stop).await.unwrap(), 12);
    assert_eq!(sweep(&archived, &stop).await.unwrap(), 0);
    twins.same_get("/conversations/bob").await;
    twins.same_get("/conversations/bob/alice?after=0").await;
    twins.same_get("/conversations/bob/alice?before=15").await;
    assert_eq!(
        garbage(&twins.archived),
        2,
        "the segments up to 10; one has newer messages too"
    );
    assert!(
        twins
            .archived
            .meta(&pair("alice", "bob"), "segment:2")
            .is_none()
    );
    let retention = Retention {
        messages: 5,
        days: 0,
    };
    let archived = store_of(
        &twins.archived,
        &url_of(twins.archived.folder.path()),
        retention,
    );
    assert_eq!(sweep(&archived, &stop).await.unwrap(), 13);
    assert_eq!(garbage(&twins.archived), 4, "all segments");
    assert!(
        twins
            .archived
            .meta(&pair("alice", "bob"), "archive")
            .is_none()
    );
    let page = twins.archived.peek("bob", "alice").await;
    assert_eq!(page["history"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn replaced_objects_are_deleted_after_the_grace() {
    let app = spawn_archived_with(&["--archive-grace", "0s"]);
    for n in 0..20 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    let name = pair("alice", "bob");
    eventually("they move", Duration::from_secs(10), async || {
        app.hot(&name) == 10
    })
    .await;
    app.edit("alice", "bob", 2, &json!({"body": "edited"}))
        .await
        .json(200);
    // Within half a minute all partitions are looked through.
    let deleted = async || app.objects().len() == 2 && garbage(&app) == 0;
    eventually(
        "the old object is deleted",
        Duration::from_secs(60),
        deleted,
    )
    .await;
    assert_eq!(
        app.message("bob", "alice", 2).await.json(200)["body"],
        "edited"
    );
}

#[tokio::test]
async fn an_object_that_never_counted_is_deleted() {
    let app = spawn_archived();
    app.store.find_nodes().await.unwrap();
    let name = pair("alice", "bob");
    let object = duologue::archive::ObjectName::of(&name, 1);
    let name_of_file = format!("{}/{}.jsonl.zst", &object.as_str()[..2], object.as_str());
    let file = app.folder.path().join(name_of_file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "never counted").unwrap();
    // As a process leaves it that is killed while it writes.
    std::fs::write(format!("{}#1", file.display()), "never c").unwrap();
    app.store.note_object(&name, &object, 1).await.unwrap();
    let deleted = async || garbage(&app) == 0 && app.objects().is_empty();
    eventually("it is deleted", Duration::from_secs(60), deleted).await;
}

#[tokio::test]
async fn a_deleted_room_leaves_its_objects_as_garbage() {
    let app = spawn_archived();
    app.open_room("general", &["alice", "bob"]).await;
    for n in 0..20 {
        app.send("alice", "room:general", &format!("message {n}"))
            .await;
    }
    let name = "room:general";
    eventually("they move", Duration::from_secs(10), async || {
        app.hot(name) == 10
    })
    .await;
    app.delete_room("general").await;
    eventually("it is deleted", Duration::from_secs(10), async || {
        garbage(&app) == 2
    })
    .await;
    assert!(app.meta(name, "archive").is_none());
}
