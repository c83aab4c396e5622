//! `--history-limit` and `--history-days` drop the oldest messages.

use chrono::{TimeDelta, Utc};
use duologue::model::rfc3339;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::pubsub_listener::PubSubListener;
use crate::harness::store::lua::fill_with;
use crate::harness::{TestApp, keys, seqs, spawn_app_with};

fn spawn(settings: &[&str]) -> TestApp {
    spawn_app_with(&[&["--fsync", "everysec"], settings].concat())
}

/// Stores messages with this time directly in Redis.
pub fn send_at(app: &TestApp, from: &str, to: &str, sent_at: &str, count: usize) {
    let json = format!(
        r#""from":"{from}","to":"{to}","id":"0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47","sent_at":"{sent_at}","body":"hi"}}"#
    );
    fill_with(&mut app.redis(), [from, to], &json, count, count);
}

pub const LONG_AGO: &str = "2020-01-31T12:00:00.000Z";

fn stored_count(app: &TestApp) -> usize {
    let [messages, ..] = keys("alice", "bob");
    app.redis().llen(messages).unwrap()
}

#[tokio::test]
async fn a_send_drops_the_oldest_messages_and_cursors_stay_valid() {
    let app = spawn(&["--history-limit", "5"]);
    for n in 1..=5 {
        app.send("alice", "bob", &format!("{n}")).await;
    }
    assert_eq!(stored_count(&app), 5, "the limit");
    for n in 6..=9 {
        assert_eq!(app.send("alice", "bob", &format!("{n}")).await["seq"], n);
    }
    assert_eq!(stored_count(&app), 5);
    let none = Value::Null;
    let cases = [
        ("", vec![9, 8, 7, 6, 5], none.clone(), none.clone()),
        ("limit=2", vec![9, 8], json!(8), none.clone()),
        ("before=7&limit=2", vec![6, 5], none.clone(), json!(6)),
        ("before=5", vec![], none.clone(), json!(4)),
        ("after=0&limit=2", vec![6, 5], none.clone(), json!(6)),
        ("after=7", vec![9, 8], json!(8), none.clone()),
        ("around=5&limit=4", vec![6, 5], none.clone(), json!(6)),
        ("around=1&limit=3", vec![6, 5], none.clone(), json!(6)),
    ];
    for (query, expected, before, after) in cases {
        let query = format!("{query}&peek=true");
        let page = app.page("bob", "alice", &query).await;
        assert_eq!(seqs(&page["history"]), expected, "{query}");
        assert_eq!(
            (&page["next_before"], &page["next_after"]),
            (&before, &after),
            "{query}"
        );
        assert_eq!(page["last_seq"], 9, "{query}");
    }
    for seq in 1..=4 {
        let missing = app.message("alice", "bob", seq).await;
        missing.problem(404, "MESSAGE_NOT_FOUND");
        app.delete("alice", "bob", seq)
            .await
            .problem(404, "MESSAGE_NOT_FOUND");
        let reply = json!({"from": "bob", "to": "alice", "body": "x", "reply_to": seq});
        app.post(&reply).await.problem(422, "REPLY_TO_NOT_FOUND");
    }
    assert_eq!(app.message("alice", "bob", 5).await.json(200)["body"], "5");
}

#[tokio::test]
async fn unread_never_exceeds_the_messages_left() {
    let app = spawn(&["--history-limit", "4"]);
    let unread = async |user: &str, peer: &str| {
        let page = app.peek(user, peer).await;
        let count = page["unread_count"].as_u64().unwrap();
        assert_eq!(page["unread"].as_array().unwrap().len() as u64, count);
        assert_eq!(
            app.badge(user).await,
            [count, u64::from(count > 0)],
            "{user}"
        );
        let inbox = app.inbox(user, "").await;
        assert_eq!(inbox["conversations"][0]["unread_count"], count, "{user}");
        count
    };
    for n in 1..=7 {
        app.send("alice", "bob", "hi").await;
        assert_eq!(unread("bob", "alice").await, n.min(4));
    }
    // Messages of one user cause messages of the other to be dropped.
    for n in 1..=4 {
        app.send("bob", "alice", "hi").await;
        assert_eq!(unread("bob", "alice").await, 4 - n);
        assert_eq!(unread("alice", "bob").await, n);
    }
    app.mark_read("alice", "bob", 9).await;
    assert_eq!(unread("alice", "bob").await, 2);
    for expected in [2, 2, 1, 0] {
        app.send("alice", "bob", "hi").await;
        assert_eq!(unread("alice", "bob").await, expected, "read ones go first");
    }
    app.read("bob", "alice").await;
    let state = app.mark_unread("bob", "alice", 1).await;
    assert_eq!(
        (&state["unread_count"], &state["read_seq"]),
        (&json!(4), &json!(11)),
        "dropped messages are not unread"
    );
    app.mark_read("bob", "alice", 12).await;
    assert_eq!(unread("bob", "alice").await, 3);
}

#[tokio::test]
async fn dropping_deleted_messages_does_not_lower_counts_again() {
    let app = spawn(&["--history-limit", "3"]);
    for _ in 0..3 {
        app.send("alice", "bob", "hi").await;
    }
    app.delete("alice", "bob", 1).await.json(200);
    for expected in [3, 3, 3] {
        app.send("alice", "bob", "hi").await;
        assert_eq!(app.badge("bob").await, [expected, 1]);
    }
}

#[tokio::test]
async fn expired_messages_are_dropped_by_the_next_change() {
    let app = spawn(&["--history-days", "30"]);
    send_at(&app, "alice", "bob", LONG_AGO, 3);
    assert_eq!(app.badge("bob").await, [3, 1], "nothing is dropped yet");
    let sent = app.send("alice", "bob", "now").await;
    assert_eq!(sent["seq"], 4);
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["history"], &page["unread"]),
        (&json!([sent]), &json!([sent]))
    );
    assert_eq!(stored_count(&app), 1);
}

#[tokio::test]
async fn a_private_change_publishes_dropped_messages_to_the_peer() {
    let app = spawn(&["--history-days", "30"]);
    send_at(&app, "alice", "bob", LONG_AGO, 2);
    let mut bob = PubSubListener::subscribe(&app.redis_url, "bob");
    app.flag(Method::PUT, "alice", "bob", "mute").await;
    assert_eq!(stored_count(&app), 0);
    let events = bob.drain_events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["total_unread_count"], 0);
    assert_eq!(app.badge("bob").await, [0, 0]);
    let inbox = app.inbox("bob", "").await;
    let row = &inbox["conversations"][0];
    assert_eq!(
        (&row["unread_count"], &row["last_message"]),
        (&json!(0), &Value::Null)
    );
}

#[tokio::test]
async fn a_fully_expired_conversation_continues() {
    let app = spawn(&["--history-days", "1"]);
    send_at(&app, "alice", "bob", LONG_AGO, 3);
    app.mark_read("bob", "alice", 1).await;
    assert_eq!(stored_count(&app), 0);
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["history"], &page["last_seq"]),
        (&json!([]), &json!(3))
    );
    assert_eq!(app.badge("bob").await, [0, 0]);
    assert_eq!(app.send("bob", "alice", "hi").await["seq"], 4);
    assert_eq!(app.badge("alice").await, [1, 1]);
}

#[tokio::test]
async fn a_lowered_limit_is_reached_in_steps() {
    // In steps, so that no send waits for a long conversation to be trimmed.
    let app = spawn(&["--history-limit", "10"]);
    send_at(&app, "alice", "bob", LONG_AGO, 50);
    let mut lengths = Vec::new();
    for _ in 0..4 {
        app.send("alice", "bob", "hi").await;
        lengths.push(stored_count(&app));
        assert_eq!(app.badge("bob").await[0], stored_count(&app) as u64);
    }
    assert_eq!(lengths, [35, 20, 10, 10]);
}

/// Checks that the count, the list and the total of bob agree, and returns them.
async fn agreed_count(app: &TestApp) -> u64 {
    let page = app.peek("bob", "alice").await;
    let count = page["unread_count"].as_u64().unwrap();
    assert_eq!(page["unread"].as_array().unwrap().len() as u64, count);
    assert_eq!(app.badge("bob").await, [count, u64::from(count > 0)]);
    let inbox = app.inbox("bob", "").await;
    assert_eq!(inbox["conversations"][0]["unread_count"], count);
    count
}

#[tokio::test]
async fn a_mark_counts_only_what_its_own_step_does_not_drop() {
    let sent_at = rfc3339(Utc::now() - TimeDelta::days(11));
    let aged = || {
        let app = spawn(&["--history-days", "30"]);
        send_at(&app, "alice", "bob", LONG_AGO, 3);
        send_at(&app, "alice", "bob", &sent_at, 5);
        app
    };
    for (seq, left) in [(1, 5), (2, 5), (3, 5), (4, 4), (5, 3), (7, 1), (8, 0)] {
        let app = aged();
        let state = app.mark_read("bob", "alice", seq).await;
        assert_eq!(state["unread_count"], left, "read {seq}");
        assert_eq!(agreed_count(&app).await, left, "read {seq}");
    }
    let app = aged();
    let page = app.peek("bob", "alice").await;
    assert_eq!(seqs(&page["history"]), [8, 7, 6, 5, 4]);
    assert_eq!(agreed_count(&app).await, 5, "peeking drops them as well");
    let app = aged();
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["unread_count"], seqs(&page["unread"]).len()),
        (&json!(5), 5)
    );
    assert_eq!(agreed_count(&app).await, 0);
    app.mark_unread("bob", "alice", 1).await;
    assert_eq!(agreed_count(&app).await, 5);
}

#[tokio::test]
async fn a_lowered_limit_bounds_what_is_marked_unread() {
    let app = spawn(&["--history-limit", "10"]);
    send_at(&app, "alice", "bob", LONG_AGO, 20);
    // By a service that keeps all messages.
    let all = spawn_app_with(&["--redis-url", &app.redis_url]);
    all.read("bob", "alice").await;
    let state = app.mark_unread("bob", "alice", 1).await;
    assert_eq!(state["unread_count"], 10);
    assert_eq!(agreed_count(&app).await, 10);
    app.mark_read("bob", "alice", 15).await;
    assert_eq!(agreed_count(&app).await, 5);
    app.mark_read("bob", "alice", 20).await;
    assert_eq!(agreed_count(&app).await, 0);
}

#[tokio::test]
async fn a_refused_change_drops_nothing() {
    let app = spawn(&["--history-days", "30"]);
    send_at(&app, "alice", "bob", LONG_AGO, 3);
    let before = app.contents();
    app.delete("alice", "bob", 1)
        .await
        .problem(404, "MESSAGE_NOT_FOUND");
    let edit = json!({"body": "new"});
    let edited = app.edit("alice", "bob", 1, &edit).await;
    edited.problem(404, "MESSAGE_NOT_FOUND");
    assert_eq!(app.contents(), before);
}

#[tokio::test]
async fn without_retention_nothing_is_dropped() {
    let app = spawn(&[]);
    send_at(&app, "alice", "bob", LONG_AGO, 40);
    app.send("alice", "bob", "hi").await;
    assert_eq!(stored_count(&app), 41);
}
