//! Importing messages from another system.

use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, cli::service_process, seqs, spawn_app, spawn_app_with};

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
async fn a_conversation_in_use_is_named_and_others_are_imported() {
    let app = spawn_app();
    app.send("alice", "bob", "here").await;
    let batch = [
        line("alice", "carol", "hi", 1),
        line("bob", "alice", "older", 1),
        line("alice", "carol", "hello", 2),
    ];
    for (imported, skipped) in [(2, 0), (0, 2)] {
        let conflict = import(&app, &batch).await;
        let conflict = conflict.problem(409, "IMPORT_CONFLICT");
        assert_eq!(
            (&conflict["imported"], &conflict["skipped"]),
            (&json!(imported), &json!(skipped))
        );
        assert_eq!(conflict["errors"].as_array().unwrap().len(), 1);
        assert_eq!(conflict["errors"][0]["pointer"], "/1");
        let detail = conflict["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("alice,bob: "), "{detail}");
    }
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 1);
    assert_eq!(app.peek("alice", "carol").await["last_seq"], 2);
}

#[tokio::test]
async fn lines_out_of_order_are_imported_wherever_batches_end() {
    let app = spawn_app();
    let mut all = lines(30);
    all.swap(14, 15);
    all.swap(0, 29);
    for (cut, imported) in [(0..15, 15), (15..30, 15), (5..25, 0), (0..30, 0)] {
        let done = import(&app, &all[cut.clone()]).await.json(200);
        assert_eq!(
            done,
            json!({"imported": imported, "skipped": cut.len() - imported}),
            "{cut:?}"
        );
    }
    let inbox = app.inbox("alice", "").await;
    assert_eq!(inbox["conversations"].as_array().unwrap().len(), 2);
    assert_eq!(inbox["total_unread_count"], 0);
}

#[tokio::test]
async fn equal_lines_of_a_batch_are_different_messages() {
    let app = spawn_app();
    let ha = line("alice", "bob", "ha", 1);
    let (mut with_metadata, mut with_file, mut reordered) = (ha.clone(), ha.clone(), ha.clone());
    with_metadata["metadata"] = json!({"n": 1, "m": 2});
    reordered["metadata"] = json!({"m": 2, "n": 1});
    with_file["attachments"] = json!([{"url": "https://example.com/a"}]);
    let batch = [ha.clone(), ha.clone(), with_metadata, with_file];
    assert_eq!(
        import(&app, &batch).await.json(200),
        json!({"imported": 4, "skipped": 0})
    );
    assert_eq!(
        import(&app, &batch).await.json(200),
        json!({"imported": 0, "skipped": 4})
    );
    let again = [ha.clone(), reordered, ha.clone(), ha];
    assert_eq!(
        import(&app, &again).await.json(200),
        json!({"imported": 1, "skipped": 3})
    );
}

#[tokio::test]
async fn an_id_belongs_to_one_message() {
    let app = spawn_app();
    let id = "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47";
    let mut one = line("alice", "bob", "one", 1);
    one["id"] = json!(id);
    let mut two = line("alice", "bob", "two", 2);
    two["id"] = json!(id);
    let refused = import(&app, &[one.clone(), two.clone()]).await;
    assert_eq!(
        refused.problem(400, "INVALID_REQUEST")["errors"][0]["pointer"],
        "/1/id"
    );
    assert_eq!(import(&app, &[one.clone()]).await.json(200)["imported"], 1);
    assert_eq!(import(&app, &[one]).await.json(200)["skipped"], 1);
    let refused = import(&app, &[two]).await;
    let refused = refused.problem(409, "IMPORT_CONFLICT");
    assert_eq!(
        (&refused["errors"][0]["pointer"], &refused["imported"]),
        (&json!("/0"), &json!(0))
    );
    assert_eq!(app.message("bob", "alice", 1).await.json(200)["id"], id);
}

#[tokio::test]
async fn only_times_that_can_be_are_imported() {
    let app = spawn_app();
    let sent_at = |time: &str| {
        let mut line = line("alice", "bob", time, 1);
        line["sent_at"] = json!(time);
        line
    };
    let soon = (chrono::Utc::now() + chrono::TimeDelta::minutes(10)).to_rfc3339();
    for time in [
        "9999-12-31T00:00:00Z",
        "+51053-10-11T00:00:00Z",
        "12019-01-31T12:00:00Z",
        "2038-01-19T03:14:07Z",
        "-0001-01-01T00:00:00Z",
        "0000-01-01T00:00:00+01:00",
        "1548936000",
        "",
        &soon,
    ] {
        let batch = [sent_at("2019-01-31T12:00:00Z"), sent_at(time)];
        let refused = import(&app, &batch).await.problem(400, "INVALID_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], "/1/sent_at", "{time}");
    }
    let mut number = line("alice", "bob", "x", 1);
    number["sent_at"] = json!(1_548_936_000_000_u64);
    import(&app, &[number])
        .await
        .problem(400, "INVALID_REQUEST");
    let times = [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2017-01-01T00:00:00.123456789Z", "2017-01-01T00:00:00.123Z"),
        ("2017-01-01t02:00:00.5+01:00", "2017-01-01T01:00:00.500Z"),
    ];
    let batch = times.map(|(time, _)| sent_at(time));
    assert_eq!(import(&app, &batch).await.json(200)["imported"], 3);
    assert_eq!(import(&app, &batch).await.json(200)["skipped"], 3);
    let page = app.peek("alice", "bob").await;
    for (message, (_, stored)) in page["history"].as_array().unwrap().iter().rev().zip(times) {
        assert_eq!(message["sent_at"], stored);
    }
}

#[tokio::test]
async fn what_retention_dropped_is_not_imported_again() {
    let app = spawn_app_with(&["--history-limit", "3"]);
    let all: Vec<_> = (0..8).map(|n| line("alice", "bob", "hi", n)).collect();
    assert_eq!(import(&app, &all).await.json(200)["imported"], 8);
    assert_eq!(
        app.peek("alice", "bob").await["history"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    for _ in 0..2 {
        assert_eq!(import(&app, &all).await.json(200)["skipped"], 8);
    }
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 8);
}

#[tokio::test]
async fn an_imported_reply_answers_an_earlier_message() {
    let app = spawn_app();
    let reply = |minute: usize, seq: u64| {
        let mut line = line("alice", "bob", "re", minute);
        line["reply_to"] = json!(seq);
        line
    };
    for seq in [0, 2, 9] {
        let batch = [line("bob", "alice", "one", 1), reply(2, seq)];
        let refused = import(&app, &batch)
            .await
            .problem(422, "REPLY_TO_NOT_FOUND");
        let pointers: Vec<_> = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["pointer"])
            .collect();
        assert_eq!(pointers, ["/0", "/1/reply_to"], "{seq}");
        assert_eq!(app.peek("alice", "bob").await["last_seq"], 0, "{seq}");
    }
    let batch = [line("bob", "alice", "one", 1), reply(2, 1)];
    assert_eq!(import(&app, &batch).await.json(200)["imported"], 2);
}

#[tokio::test]
async fn malformed_lines_are_named_and_a_byte_order_mark_is_ignored() {
    let app = spawn_app();
    let good = line("alice", "bob", "hi", 1).to_string();
    let headers = [("content-type", "application/x-ndjson")];
    let bad = format!("{good}\n\n{{\"from\":\n{good}\nnonsense\n");
    let refused = app
        .call_text("POST", "/messages/batch", &headers, bad)
        .await;
    let refused = refused.problem(400, "MALFORMED_JSON");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("Line 3 is not valid JSON"), "{detail}");
    let pointers: Vec<_> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["pointer"])
        .collect();
    assert_eq!(pointers, ["/2", "/4"]);
    let marked = format!("\u{feff}{good}\r\n");
    let done = app
        .call_text("POST", "/messages/batch", &headers, marked)
        .await;
    assert_eq!(done.json(200), json!({"imported": 1, "skipped": 0}));
}

#[tokio::test]
async fn an_export_can_be_imported_again() {
    let (app, other) = (spawn_app_with(&["--history-limit", "5"]), spawn_app());
    for n in 0..4 {
        app.send("alice", "bob", &format!("message {n}")).await;
        app.send("bob", "alice", "answer").await;
    }
    let reply = json!({"from": "bob", "to": "alice", "body": "re", "reply_to": 5,
        "metadata": {"b": 1, "a": 2}, "attachments": [{"url": "https://example.com/a"}]});
    app.post(&reply).await.json(201);
    app.edit("alice", "bob", 7, &json!({"body": "edited"}))
        .await
        .json(200);
    app.react(reqwest::Method::PUT, ["bob", "alice"], 7, "👍")
        .await
        .json(200);
    app.delete("bob", "alice", 6).await.json(200);
    app.read("alice", "bob").await;
    let export = app.get("/users/alice/export").await.text;
    let headers = [("content-type", "application/x-ndjson")];
    for (service, done) in [
        (&other, json!({"imported": 5, "skipped": 0})),
        (&other, json!({"imported": 0, "skipped": 5})),
        (&app, json!({"imported": 0, "skipped": 5})),
    ] {
        let answer = service
            .call_text("POST", "/messages/batch", &headers, export.clone())
            .await;
        assert_eq!(answer.json(200), done);
    }
    let [was, is] =
        [&app, &other].map(|app| async { app.peek("alice", "bob").await["history"].clone() });
    assert_eq!(is.await, was.await);
    assert_eq!(other.get("/users/alice/export").await.text, export);
    assert_eq!(other.send("alice", "bob", "next").await["seq"], 10);
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

/// Runs `duologue import` on a file of lines: whether it succeeded, its output and its errors.
fn run_import(app: &TestApp, text: &str) -> (bool, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    std::fs::write(&file, text).unwrap();
    let mut command = service_process::command();
    command
        .arg("import")
        .arg(&file)
        .args(["--url", &app.address]);
    let output = service_process::output(&mut command);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), out.trim().to_owned(), err)
}

#[test]
fn the_import_command_tells_equal_lines_of_two_batches_apart() {
    let app = spawn_app();
    let mut all = lines(5003);
    for (n, line) in all.iter_mut().enumerate() {
        line["sent_at"] = json!(format!("2019-01-31T00:00:00.{n:06}Z"));
    }
    all[5000] = all[4999].clone();
    all.swap(5001, 0);
    let text = format!("\u{feff}{}", ndjson(all.iter()));
    for said in ["5003 imported, 0 skipped", "0 imported, 5003 skipped"] {
        let (success, out, err) = run_import(&app, &text);
        assert_eq!((success, out.as_str()), (true, said), "{err}");
    }
}

#[test]
fn the_import_command_goes_on_and_lists_what_it_could_not_send() {
    let app = spawn_app();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(app.send("alice", "carol", "in use"));
    let mut all: Vec<_> = lines(7).iter().map(Value::to_string).collect();
    all.insert(2, "{\"from\":".to_owned());
    all.insert(
        5,
        json!({"from": "alice", "to": "bob", "body": "x", "sent_at": "9999-12-31T00:00:00Z"})
            .to_string(),
    );
    let (success, out, err) = run_import(&app, &all.join("\n"));
    assert!(!success);
    assert_eq!(out, "5 imported, 0 skipped", "{err}");
    for said in [
        "line 3: not valid JSON",
        "line 6: sent_at: ",
        "line 4: alice,carol: ",
        "line 8: alice,carol: ",
        "4 lines were not imported",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
}
