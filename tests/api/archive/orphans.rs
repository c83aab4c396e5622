//! Objects of the archive that Redis does not know.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use duologue::store::Keys;
use duologue::worker::orphans::note_orphans;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::archive::{ArchivedApp, pair, spawn_archived};
use crate::harness::eventually;

/// A service whose conversation of alice and bob has 25 messages, 15 of them in the archive.
async fn with_archive() -> ArchivedApp {
    let app = spawn_archived();
    for number in 0..25 {
        app.send("alice", "bob", &format!("message {number}")).await;
    }
    app.archive(&pair("alice", "bob")).await;
    app
}

/// Searches for orphans that are older than so many days, and returns their number.
async fn search(app: &ArchivedApp, days: i64) -> u64 {
    let (before, stop) = (Utc::now() - TimeDelta::days(days), CancellationToken::new());
    note_orphans(&app.store, before, &stop).await.unwrap()
}

/// Copies the first object of a conversation as an object of which Redis knows nothing.
fn leave_orphan(app: &ArchivedApp) -> PathBuf {
    let objects = app.objects();
    let name = objects[0].file_name().unwrap().to_str().unwrap();
    let (low, _) = name.split_once('-').unwrap();
    let orphan = objects[0].with_file_name(format!("{low}-00000000deadbeef.jsonl.zst"));
    fs::copy(&objects[0], &orphan).unwrap();
    orphan
}

/// Lets the time come at which an object is deleted.
fn hasten(app: &ArchivedApp, id: &str) {
    let mut redis = app.redis();
    for partition in 0..256 {
        let key = Keys::new().garbage_of(partition);
        let names: Vec<String> = redis::Commands::zrange(&mut redis, &key, 0, -1).unwrap();
        for name in names.iter().filter(|name| name.ends_with(id)) {
            redis::Commands::zadd::<_, _, _, ()>(&mut redis, &key, name, 1).unwrap();
        }
    }
}

#[tokio::test]
async fn objects_that_redis_does_not_know_are_deleted() {
    let app = with_archive().await;
    app.open_room("general", &["alice", "bob"]).await;
    for number in 0..20 {
        let body = format!("message {number}");
        app.send("alice", "room:general", &body).await;
    }
    app.archive("room:general").await;
    assert_eq!(search(&app, -1).await, 0, "all objects count");
    let edit = json!({"body": "edited"});
    app.edit("alice", "bob", 2, &edit).await.json(200);
    assert_eq!(search(&app, -1).await, 0, "the old one is to be deleted");
    let orphan = leave_orphan(&app);
    assert_eq!(search(&app, 1).await, 0, "it is too young");
    assert_eq!(search(&app, -1).await, 1);
    assert_eq!(search(&app, -1).await, 0, "it is noted");
    hasten(&app, "-00000000deadbeef");
    let deleted = async || !orphan.exists();
    eventually("it is deleted", Duration::from_secs(30), deleted).await;
    for peer in ["bob", "room:general"] {
        let page = app.page("alice", peer, "before=1000&limit=200").await;
        assert!(page["history"].as_array().unwrap().len() >= 20);
    }
}

#[tokio::test]
async fn the_archive_of_another_redis_is_left_alone() {
    let app = with_archive().await;
    let there = app.objects();
    app.forget_everything();
    assert_eq!(search(&app, -1).await, 0, "it knows none");
    for number in 0..20 {
        let body = format!("message {number}");
        app.send("alice", "carol", &body).await;
    }
    app.archive(&pair("alice", "carol")).await;
    let id = |n: usize| format!("1-{n:016x}.jsonl.zst");
    for n in 0..17 {
        fs::copy(&there[0], there[0].with_file_name(id(n))).unwrap();
    }
    assert_eq!(search(&app, -1).await, 0, "most are those of another one");
    assert!(there.iter().all(|path| path.exists()));
}
