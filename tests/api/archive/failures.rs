//! An archive that fails, or is damaged.

use std::fs;

use serde_json::json;

use crate::harness::archive::{ArchivedApp, pair, spawn_archived};

async fn with_archive() -> ArchivedApp {
    let app = spawn_archived();
    for n in 1..=33 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    app.archive(&pair("alice", "bob")).await;
    app
}

/// Replaces the first object of the archive, which has the messages 1 to 5.
fn damage(app: &ArchivedApp, with: Option<&[u8]>) {
    let objects = app.objects();
    let first = objects.iter().find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("1-")
    });
    match with {
        Some(bytes) => fs::write(first.unwrap(), bytes).unwrap(),
        None => fs::remove_file(first.unwrap()).unwrap(),
    }
}

#[tokio::test]
async fn a_damaged_or_missing_object_is_never_a_gap() {
    let short = zstd::encode_all(&b"{\"seq\":1,\"from\":\"alice\"}\n"[..], 3).unwrap();
    let shifted = zstd::encode_all(&b"{\"seq\":2,\"from\":\"alice\"}\n"[..], 3).unwrap();
    for with in [
        None,
        Some(&b"damaged"[..]),
        Some(&[]),
        Some(&shifted),
        Some(&short),
    ] {
        let app = with_archive().await;
        damage(&app, with);
        for path in ["?after=0&limit=8", "?around=4", "/messages/3"] {
            let answer = app.get(&format!("/conversations/alice/bob{path}")).await;
            answer.problem(500, "ARCHIVE_DAMAGED");
        }
        let edit = app
            .edit("alice", "bob", 2, &json!({"body": "edited"}))
            .await;
        edit.problem(500, "ARCHIVE_DAMAGED");
        let rest = app.page("alice", "bob", "before=34&limit=28").await;
        assert_eq!(rest["history"].as_array().unwrap().len(), 28);
        let metrics = app.get("/metrics").await.text;
        assert!(metrics.contains("duologue_archive_failures_total{kind=\"damaged\"}"));
    }
}

#[tokio::test]
async fn what_is_in_redis_works_without_the_archive() {
    let app = with_archive().await;
    // Neither folders nor files can be read, even by root, if a file is in their place.
    let hidden = app.folder.path().with_extension("hidden");
    fs::rename(app.folder.path(), &hidden).unwrap();
    fs::write(app.folder.path(), "").unwrap();
    app.send("alice", "bob", "message 34").await;
    let page = app.page("bob", "alice", "limit=10").await;
    assert_eq!(page["history"].as_array().unwrap().len(), 10);
    let older = app.get("/conversations/bob/alice?before=10").await;
    let problem = older.problem(503, "ARCHIVE_UNAVAILABLE");
    assert_eq!(older.header("retry-after"), "1", "{problem}");
    let edit = app
        .edit("alice", "bob", 2, &json!({"body": "edited"}))
        .await;
    edit.problem(503, "ARCHIVE_UNAVAILABLE");
    for n in 35..=60 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    fs::remove_file(app.folder.path()).unwrap();
    fs::rename(&hidden, app.folder.path()).unwrap();
    let older = app.page("bob", "alice", "before=10").await;
    assert_eq!(older["history"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn a_page_that_cannot_be_shown_is_not_read() {
    let app = with_archive().await;
    damage(&app, None);
    let newest = app.get("/conversations/bob/alice?limit=50").await;
    newest.problem(500, "ARCHIVE_DAMAGED");
    assert_eq!(app.badge("bob").await[0], 33);
}
