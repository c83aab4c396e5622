//! `DELETE .../messages/{seq}`.

use reqwest::Method;
use serde_json::json;

use crate::harness::{seqs, spawn_app};
use crate::messages::edits::with_message;

#[tokio::test]
async fn a_deleted_message_becomes_a_tombstone_for_both_users() {
    let given = json!({
        "metadata": {"a": 1}, "attachments": [{"url": "https://example.com/"}],
    });
    let (app, sent) = with_message(given).await;
    let two = json!({"from": "alice", "to": "bob", "body": "two", "reply_to": 1});
    let two = app.post(&two).await.json(201);
    app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    let tombstone = app.delete("alice", "bob", 1).await.json(200);
    let mut expected = json!({});
    for name in ["seq", "id", "from", "to", "sent_at"] {
        expected[name] = sent[name].clone();
    }
    expected["body"] = json!("");
    expected["deleted_at"] = tombstone["deleted_at"].clone();
    assert_eq!(tombstone, expected);
    for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
        let page = app.peek(user, peer).await;
        assert_eq!(page["history"], json!([two, tombstone]), "{user}");
    }
    let bob = app.read("bob", "alice").await;
    assert_eq!(
        (&bob["unread_count"], &bob["unread"]),
        (&json!(1), &json!([two]))
    );
    let again = app.delete("alice", "bob", 1).await.json(200);
    assert_eq!(again, tombstone, "deleted twice is deleted once");
    let three = app.send("alice", "bob", "three").await;
    assert_eq!(three["seq"], 3, "places are never used again");
}

#[tokio::test]
async fn deleting_an_unread_message_lowers_the_count_once() {
    let app = spawn_app();
    for _ in 0..4 {
        app.send("alice", "bob", "hi").await;
    }
    app.mark_read("bob", "alice", 2).await;
    let cases = [
        ("one that was read", 1, [2, 1]),
        ("one that was not", 3, [1, 1]),
        ("the same again", 3, [1, 1]),
        ("the last one", 4, [0, 0]),
    ];
    for (reason, seq, badge) in cases {
        app.delete("alice", "bob", seq).await.json(200);
        assert_eq!(app.badge("bob").await, badge, "{reason}");
        let page = app.peek("bob", "alice").await;
        assert_eq!(page["unread_count"], badge[0], "{reason}");
        assert_eq!(seqs(&page["unread"]).len() as u64, badge[0], "{reason}");
    }
    let state = app.mark_unread("bob", "alice", 1).await;
    assert_eq!(state["unread_count"], 1, "only the second one stands");
    assert_eq!(app.badge("bob").await, [1, 1]);
}

#[tokio::test]
async fn a_deleted_message_cannot_be_edited_or_reacted_to() {
    let (app, _) = with_message(json!({})).await;
    let users = ["bob", "alice"];
    app.react(Method::PUT, users, 1, "👍").await;
    let tombstone = app.delete("alice", "bob", 1).await;
    let edited = app.edit("alice", "bob", 1, &json!({"body": "x"})).await;
    edited.problem(409, "MESSAGE_DELETED");
    let reacted = app.react(Method::PUT, users, 1, "🎉").await;
    reacted.problem(409, "MESSAGE_DELETED");
    let taken_back = app.react(Method::DELETE, users, 1, "👍").await;
    assert_eq!(taken_back.text, tombstone.text, "it is gone already");
    let by_the_other = app.edit("bob", "alice", 1, &json!({"body": "x"})).await;
    by_the_other.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_body_that_imitates_a_tombstone_is_a_normal_message() {
    let app = spawn_app();
    let mut sent = 0;
    for length in 0..60 {
        let lie = "x".repeat(length);
        let time = "2026-01-31T12:02:00.000Z";
        let tombstone = format!(r#","deleted_at":"{time}"}}"#);
        let messages = [
            json!({"body": "", "attachments": [{"url": "https://example.com/", "name": tombstone}]}),
            json!({"body": lie, "metadata": {"deleted_at": lie}}),
            json!({"body": "x", "metadata": {"a": {"deleted_at": time, "pad": lie}}}),
            json!({"body": "x", "metadata": {"pad": lie, "deleted_at": time}}),
            json!({"body": format!("{lie}{tombstone}")}),
        ];
        for mut message in messages {
            if message["body"] == "" && message.get("attachments").is_none() {
                message["body"] = json!("x");
            }
            message["from"] = json!("alice");
            message["to"] = json!("bob");
            app.post(&message).await.json(201);
            sent += 1;
        }
    }
    app.edit(
        "alice",
        "bob",
        3,
        &json!({"body": r#"","deleted_at":"x"}"#}),
    )
    .await
    .json(200);
    let page = app.page("bob", "alice", "peek=true&unread_limit=500").await;
    assert_eq!(page["unread_count"], sent);
    assert_eq!(page["unread"].as_array().unwrap().len(), sent);
    // The count must equal one made from the messages.
    let state = app.mark_read("bob", "alice", 1).await;
    assert_eq!(state["unread_count"], sent - 1);
    app.read("bob", "alice").await;
    let state = app.mark_unread("bob", "alice", 1).await;
    assert_eq!(state["unread_count"], sent);
    app.delete("alice", "bob", 2).await.json(200);
    assert_eq!(app.badge("bob").await, [sent as u64 - 1, 1]);
}

#[tokio::test]
async fn authors_delete_for_both_after_clearing_their_side() {
    let app = spawn_app();
    app.send("alice", "bob", "secret").await;
    app.send("bob", "alice", "answer").await;
    app.clear("alice", "bob").await;
    let tombstone = app.delete("alice", "bob", 1).await.json(200);
    assert_eq!(
        app.message("bob", "alice", 1).await.json(200),
        tombstone,
        "for both"
    );
    assert_eq!(app.badge("bob").await, [0, 0]);
    assert_eq!(app.delete("alice", "bob", 1).await.json(200), tombstone);
    let of_the_peer = app.delete("alice", "bob", 2).await;
    of_the_peer.problem(404, "MESSAGE_NOT_FOUND");
    let cleared = app.message("alice", "bob", 1).await;
    cleared.problem(404, "MESSAGE_NOT_FOUND");
}
