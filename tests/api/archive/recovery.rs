//! What remains whole when several work on the archive at once, when it fails, and when a backup is restored.

use std::collections::HashMap;
use std::time::Duration;

use duologue::model::Retention;
use duologue::store::Keys;
use serde_json::json;

use crate::harness::archive::{ArchivedApp, pair, spawn_archived, store_of, url_of};
use crate::harness::metrics::metric;
use crate::harness::{eventually, seqs};

async fn send(app: &ArchivedApp, count: u64) {
    for number in 0..count {
        app.send("alice", "bob", &format!("message {number}")).await;
    }
}

/// Checks that a conversation has exactly so many messages, each once.
async fn assert_whole(app: &ArchivedApp, count: u64) {
    let page = app.page("alice", "bob", "before=1000&limit=200").await;
    assert!(
        seqs(&page["history"]).into_iter().rev().eq(1..=count),
        "{page}"
    );
}

#[tokio::test]
async fn two_workers_move_each_message_once() {
    let app = spawn_archived();
    let other = store_of(&app, &url_of(app.folder.path()), Retention::default());
    other.find_nodes().await.unwrap();
    send(&app, 60).await;
    let name = pair("alice", "bob");
    let moves = async || while other.move_to_archive(&name).await.unwrap() > 0 {};
    tokio::join!(app.archive(&name), moves(), moves());
    app.archive(&name).await;
    assert_whole(&app, 60).await;
    // What the other one wrote does not count, and is deleted later.
    let garbage: Vec<String> = {
        let key = Keys::new().garbage(&name);
        redis::Commands::zrange(&mut app.redis(), key, 0, -1).unwrap()
    };
    assert_eq!(app.objects().len(), 10 + garbage.len());
    assert_eq!(app.hot(&name), 10);
}

/// Everything in Redis, as a backup has it.
fn backup(app: &ArchivedApp) -> HashMap<String, Vec<u8>> {
    app.contents().into_iter().collect()
}

/// Replaces everything in Redis by a backup.
fn restore(app: &ArchivedApp, backup: &HashMap<String, Vec<u8>>) {
    app.forget_everything();
    let mut redis = app.redis();
    for (key, value) in backup {
        let mut restore = redis::cmd("RESTORE");
        restore.arg(key).arg(0).arg(value).arg("REPLACE");
        restore.exec(&mut redis).unwrap();
    }
}

#[tokio::test]
async fn a_restored_backup_finds_the_objects_of_its_time() {
    let app = spawn_archived();
    send(&app, 25).await;
    let name = pair("alice", "bob");
    app.archive(&name).await;
    let backup = backup(&app);
    for seq in [2, 7, 12] {
        app.edit("alice", "bob", seq, &json!({"body": "edited"}))
            .await
            .json(200);
    }
    app.delete("alice", "bob", 3).await.json(200);
    send(&app, 20).await;
    app.archive(&name).await;
    assert_whole(&app, 45).await;
    restore(&app, &backup);
    assert_whole(&app, 25).await;
    for seq in [2, 3, 7, 12] {
        let message = app.message("alice", "bob", seq).await.json(200);
        assert_eq!(message["body"], format!("message {}", seq - 1));
    }
    send(&app, 20).await;
    app.archive(&name).await;
    assert_whole(&app, 45).await;
}

#[tokio::test]
async fn moving_waits_while_the_archive_fails() {
    let app = spawn_archived();
    app.break_archive();
    send(&app, 30).await;
    let fails = async || {
        let ready = app.get("/readyz").await.json(200);
        let warnings = ready["archive"]["warnings"].to_string();
        warnings.contains("the archive does not answer")
    };
    eventually("it warns", Duration::from_secs(20), fails).await;
    assert!(metric(&app, "duologue_archive_overdue").await > 0.5);
    assert!(
        metric(
            &app,
            "duologue_archive_failures_total{kind=\"unavailable\"}"
        )
        .await
            > 0.5
    );
    assert_whole(&app, 30).await;
    app.repair_archive();
    let name = pair("alice", "bob");
    let moved = async || app.hot(&name) == 10;
    eventually("they move", Duration::from_secs(40), moved).await;
    assert_whole(&app, 30).await;
    let ready = app.get("/readyz").await.json(200);
    assert_eq!(ready["archive"]["warnings"], json!([]));
}
