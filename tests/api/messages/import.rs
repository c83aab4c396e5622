//! Importing messages from another system.

use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, cli::service_process, seqs, spawn_app};

fn line(from: &str, to: &str, body: &str, minute: usize) -> Value {
    let sent_at = format!("2019-01-31T{:02}:{:02}:00Z", minute / 60, minute % 60);
    json!({"from": from, "to": to, "body": body, "sent_at": sent_at})
}

fn lines(count: usize) -> Vec<Value> {
    let people = [("alice", "bob"), ("bob", "alice"), ("carol", "alice")];
    let line = |n: usize| line(people[n % 3].0, people[n % 3].1, &format!("message {n}"), n);
    (0..count).map(line).collect()
}

fn ndjson<'a>(lines: impl Iterator<Item = &'a Value>) -> String {
    let lines: Vec<_> = lines.map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

async fn import(app: &TestApp, lines: &[Value]) -> ApiResponse {
    let text = ndjson(lines.iter());
    let headers = [("content-type", "application/x-ndjson")];
    app.call_text("POST", "/messages/batch", &headers, text)
        .await
}

#[tokio::test]
async fn imported_messages_keep_their_order_and_count_as_read() {
    let app = spawn_app();
    let done = import(&app, &lines(300)).await.json(200);
    assert_eq!(done, json!({"imported": 300, "skipped": 0}));
    let read = app.page("alice", "bob", "limit=200").await;
    assert_eq!(seqs(&read["history"]), (1..=200).rev().collect::<Vec<_>>());
    assert_eq!(read["unread_count"], 0);
    assert_eq!(read["history"][199]["sent_at"], "2019-01-31T00:00:00.000Z");
    let inbox = app.get("/conversations/alice").await.json(200);
    assert_eq!(inbox["total_unread_count"], 0);
    let peers: Vec<_> = inbox["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["peer"])
        .collect();
    assert_eq!(peers, ["carol", "bob"], "by when they were sent");
    // New messages follow.
    app.send("bob", "alice", "here").await;
    assert_eq!(app.read("alice", "bob").await["unread_count"], 1);
}

#[tokio::test]
async fn an_import_marks_everything_as_read_again() {
    let app = spawn_app();
    let all: Vec<_> = (0..4).map(|n| line("bob", "alice", "old", n)).collect();
    import(&app, &all[..2]).await.json(200);
    assert_eq!(app.mark_unread("alice", "bob", 1).await["unread_count"], 2);
    import(&app, &all).await.json(200);
    let page = app.peek("alice", "bob").await;
    assert_eq!(
        (&page["unread_count"], &page["read_seq"]),
        (&json!(0), &json!(4))
    );
    assert_eq!(app.badge("alice").await, [0, 0]);
}

#[tokio::test]
async fn an_interrupted_import_can_be_resent_in_other_batches() {
    let app = spawn_app();
    let all = lines(1000);
    assert_eq!(import(&app, &all[..400]).await.json(200)["imported"], 400);
    // From the beginning, in other batches, and twice.
    for (cut, imported) in [(0..250, 0), (250..700, 300), (0..1000, 300), (0..1000, 0)] {
        let done = import(&app, &all[cut.clone()]).await.json(200);
        assert_eq!(done["imported"], imported, "{cut:?}");
        assert_eq!(done["skipped"], cut.len() - imported, "{cut:?}");
    }
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 667);
    assert_eq!(app.peek("alice", "carol").await["last_seq"], 333);
}

#[tokio::test]
async fn an_invalid_line_is_named_and_nothing_is_imported() {
    let app = spawn_app();
    let cases = [
        (
            json!({"from": "alice", "to": "bob", "body": "x"}),
            "/2/sent_at",
            "no time",
        ),
        (
            json!({"to": "bob", "body": "x", "sent_at": "2019-01-31T00:00:00Z"}),
            "/2/from",
            "no sender",
        ),
        (line("alice", "alice", "x", 1), "/2/to", "to oneself"),
        (line("alice", "bob", "", 1), "/2/body", "empty"),
        (
            json!({"from": "alice", "to": "bob", "body": "x", "sent_at": "yesterday"}),
            "/2/sent_at",
            "no time either",
        ),
        (
            json!({"from": "alice", "to": "bob", "body": "x", "sent_at": "2019-01-31T00:00:00Z", "b": 1}),
            "/2/b",
            "unknown",
        ),
    ];
    for (bad, pointer, why) in cases {
        let mut all = lines(2);
        all.push(bad);
        let refused = import(&app, &all).await.problem(400, "INVALID_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{why}");
    }
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 0);
}

#[tokio::test]
async fn nothing_is_imported_into_a_conversation_in_use() {
    let app = spawn_app();
    app.send("alice", "bob", "here").await;
    import(&app, &[line("alice", "bob", "older", 1)])
        .await
        .problem(409, "IMPORT_CONFLICT");
    // Messages older than already imported ones are refused too.
    import(
        &app,
        &[
            line("alice", "carol", "first", 1),
            line("alice", "carol", "third", 3),
        ],
    )
    .await
    .json(200);
    import(&app, &[line("alice", "carol", "second", 2)])
        .await
        .problem(409, "IMPORT_CONFLICT");
    assert_eq!(app.peek("alice", "carol").await["last_seq"], 2);
}

#[test]
fn the_import_command_can_be_repeated_safely() {
    let app = spawn_app();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    let mut all = lines(6000);
    for (n, line) in all.iter_mut().enumerate() {
        line["sent_at"] = json!(format!("2019-01-31T00:00:00.{n:06}Z"));
    }
    let text = ndjson(all.iter());
    std::fs::write(&file, text).unwrap();
    for said in ["6000 imported, 0 skipped", "0 imported, 6000 skipped"] {
        let mut command = service_process::command();
        command
            .arg("import")
            .arg(&file)
            .args(["--url", &app.address]);
        let output = service_process::output(&mut command);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(stdout.trim(), said);
    }
}
