//! Importing messages from another system.

use serde_json::json;

use crate::harness::import::{import, line, lines};
use crate::harness::{seqs, spawn_app, spawn_app_with};

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
async fn messages_dropped_by_retention_are_not_imported_again() {
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
