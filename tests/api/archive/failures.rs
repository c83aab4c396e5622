//! An archive that fails, or is damaged.

use std::fs;

use serde_json::json;

use crate::harness::archive::{ArchivedApp, objects_in, pair, spawn_archived};
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::http::response::ApiResponse;
use crate::harness::{client, spawn_app_on};

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
    app.break_archive();
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
    app.repair_archive();
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

#[tokio::test]
async fn the_log_names_the_object_that_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let settings = [("DUOLOGUE_HOT_MESSAGES", "1")];
    let service = ServiceProcess::start_logged(dir.path(), &settings, &log);
    let line = |number| {
        let sent_at = "2026-01-31T12:00:00.000Z";
        json!({"from": "alice", "to": "bob", "body": format!("old {number}"), "sent_at": sent_at})
    };
    let lines: Vec<_> = (0..501).map(|number| line(number).to_string()).collect();
    let imported = client()
        .post(format!("{}/messages/batch", service.address))
        .header("content-type", "application/x-ndjson")
        .body(lines.join("\n"));
    let imported = ApiResponse::read(imported.send().await.unwrap()).await;
    assert_eq!(imported.json(200)["imported"], 501);
    let [object] = &objects_in(&dir.path().join("archive"))[..] else {
        panic!("not one object");
    };
    fs::write(object, "damaged").unwrap();
    let message = format!("{}/conversations/alice/bob/messages/1", service.address);
    let message = client().get(message).send().await.unwrap();
    ApiResponse::read(message)
        .await
        .problem(500, "ARCHIVE_DAMAGED");
    let name = object.file_name().unwrap().to_str().unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(name.trim_end_matches(".jsonl.zst")), "{log}");
}

#[tokio::test]
async fn a_service_without_the_archive_has_what_is_in_redis() {
    let app = with_archive().await;
    let without = spawn_app_on(&app.redis_url);
    let page = without.page("bob", "alice", "limit=5").await;
    assert_eq!(page["history"][0]["body"], "message 33");
    let sent = without.send("alice", "bob", "message 34").await;
    assert_eq!(sent["seq"], 34);
    let older = without.get("/conversations/bob/alice?before=10").await;
    older.problem(503, "ARCHIVE_UNAVAILABLE");
    let edit = json!({"body": "edited"});
    let edit = without.edit("alice", "bob", 2, &edit).await;
    edit.problem(503, "ARCHIVE_UNAVAILABLE");
    let page = app.page("bob", "alice", "before=35&limit=34").await;
    assert_eq!(page["history"].as_array().unwrap().len(), 34);
}
