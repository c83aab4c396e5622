//! Which lines can be imported, and how the others are refused.

use serde_json::json;

use crate::harness::import::{import, line, lines};
use crate::harness::spawn_app;

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
            "an invalid time",
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
async fn only_valid_past_times_are_imported() {
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
