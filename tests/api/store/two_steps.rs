//! Changes in two steps, as on a cluster: what a process that dies between them, or a failover, leaves behind is
//! repaired.

use std::time::Duration;

use redis::{Commands, Value as RedisValue};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::metrics::metric;
use crate::harness::store::lua::{Conversation, draft, eval, keys_of_user, update_inbox};
use crate::harness::store::outbox::outbox_entries;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app_with};

/// How long the service may take to find and repeat an update.
pub const REPAIRED: Duration = Duration::from_secs(15);

pub fn spawn() -> TestApp {
    spawn_app_with(&["--two-steps"])
}

/// Runs only the first step of a change, like a process that dies after it.
pub fn first_step(app: &TestApp, script: &str, args: &[&str]) -> Vec<RedisValue> {
    let conversation = Conversation::of(args[0], args[1]).in_two_steps();
    let changed = conversation.eval(script, args).query(&mut app.redis());
    changed.unwrap()
}

#[tokio::test]
async fn updates_are_confirmed_once_both_inboxes_have_them() {
    let app = spawn();
    app.send("alice", "bob", "one").await;
    app.send("alice", "carol", "two").await;
    assert_eq!(app.badge("bob").await, [1, 1], "at once");
    app.outboxes_are_empty().await;
}

#[tokio::test]
async fn a_change_that_reached_no_inbox_is_completed() {
    let app = spawn();
    app.send("alice", "bob", "one").await;
    let mut device = Device::connect(&app, "bob").await;
    first_step(
        &app,
        "send_message",
        &["alice", "bob", &draft("alice", "bob", "two")],
    );
    assert_eq!(app.badge("bob").await, [1, 1]);
    let event = device.next().await;
    assert_eq!(event["type"], "conversation.changed");
    assert_eq!(
        (&event["unread_count"], &event["last_seq"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(app.badge("bob").await, [2, 1]);
    app.outboxes_are_empty().await;
    assert!(metric(&app, r#"duologue_repairs_total{kind="repeated"}"#).await >= 1.0);
}

#[tokio::test]
async fn a_change_that_reached_one_inbox_is_completed() {
    let app = spawn();
    let send = ["alice", "bob", &draft("alice", "bob", "one")];
    let done = first_step(&app, "send_message", &send);
    assert_eq!(update_inbox(&mut app.redis(), "alice", &done[2]), "exact");
    eventually("the recipient has it", REPAIRED, async || {
        app.badge("bob").await == [1, 1]
    })
    .await;
    let inbox = app.inbox("bob", "").await;
    assert_eq!(inbox["conversations"][0]["peer"], "alice");
    app.outboxes_are_empty().await;
}

#[tokio::test]
async fn a_repeated_update_says_who_has_written() {
    let app = spawn();
    let send = ["alice", "bob", &draft("alice", "bob", "one")];
    first_step(&app, "send_message", &send);
    app.outboxes_are_empty().await;
    let mut redis = app.redis();
    for (user, peer, writes) in [("alice", "bob", true), ("bob", "alice", false)] {
        let [_, conversations, _] = keys_of_user(user);
        let row: String = redis.hget(conversations, peer).unwrap();
        let age = row.split('|').nth(2).unwrap();
        assert_eq!(age.ends_with('w'), writes, "{row}");
    }
}

#[tokio::test]
async fn a_reader_completes_an_update_that_is_overdue() {
    let app = spawn();
    let send = ["alice", "bob", &draft("alice", "bob", "one")];
    first_step(&app, "send_message", &send);
    let mut redis = app.redis();
    let outboxes: Vec<String> = redis.keys("dm:{*}:outbox").unwrap();
    // As if it had been there for long; the conversation's version does not matter here.
    let _: () = redis.zadd(&outboxes[0], "alice,bob", 1).unwrap();
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 1);
    assert_eq!(app.badge("bob").await, [1, 1]);
}

#[tokio::test]
async fn a_deletion_whose_update_is_overtaken_reaches_the_device() {
    let app = spawn();
    app.send("alice", "bob", "gone").await;
    let mut device = Device::connect(&app, "bob").await;
    let time = "2026-01-31T12:02:00.000Z";
    let deleted = first_step(&app, "delete_message", &["alice", "bob", "1", time]);
    app.send("alice", "bob", "next").await;
    // The event of the new message does not hide that there was another change.
    let event = device.next().await;
    assert_eq!(event["type"], "conversation.changed");
    let history = &app.peek("bob", "alice").await["history"];
    assert!(history[1]["deleted_at"].is_string(), "{history}");
    assert_eq!(update_inbox(&mut app.redis(), "bob", &deleted[3]), "stale");
    let later = device.events_within(Duration::from_secs(1)).await;
    assert_eq!(later, Vec::<Value>::new());
    assert_eq!(app.badge("bob").await, [1, 1]);
}

#[tokio::test]
async fn a_mute_in_two_steps_is_not_told_to_the_peer() {
    let app = spawn();
    app.send("alice", "bob", "one").await;
    let mut device = Device::connect(&app, "bob").await;
    app.flag(Method::PUT, "alice", "bob", "mute").await;
    app.send("alice", "bob", "two").await;
    let event = device.next().await;
    assert_eq!(
        event["type"], "message.created",
        "and it is no gap: {event}"
    );
}

/// Replaces a row, like a failover that loses changes. `edit` gets its fields.
fn edit_row(app: &TestApp, user: &str, peer: &str, edit: impl Fn(u64, &str) -> String) {
    let mut redis = app.redis();
    let [_, conversations, _] = keys_of_user(user);
    let row: String = redis.hget(&conversations, peer).unwrap();
    let (version, rest) = row.split_once('|').unwrap();
    let row = edit(version.parse().unwrap(), rest);
    let _: () = redis.hset(&conversations, peer, row).unwrap();
}

#[tokio::test]
async fn listing_an_inbox_repairs_a_row_that_is_behind() {
    let app = spawn();
    app.send("alice", "bob", "one").await;
    app.outboxes_are_empty().await;
    let lost = |version: u64, rest: &str| {
        format!(
            "{}|{}",
            version - 1,
            rest.replacen("1|00000|1|", "0|00000|0|", 1)
        )
    };
    edit_row(&app, "bob", "alice", lost);
    // Only changes that are older than an update in progress count.
    tokio::time::sleep(Duration::from_secs(3)).await;
    eventually("the row follows the conversation", REPAIRED, async || {
        app.inbox("bob", "").await["conversations"][0]["last_seq"] == 1
    })
    .await;
}

#[tokio::test]
async fn listing_an_inbox_repairs_a_row_that_is_ahead() {
    let app = spawn();
    app.send("alice", "bob", "one").await;
    let ahead = |version: u64, rest: &str| {
        format!(
            "{}|{}",
            version + 1,
            rest.replacen("1|00000|1|", "1|00000|9|", 1)
        )
    };
    edit_row(&app, "bob", "alice", ahead);
    eventually("the row follows the conversation", REPAIRED, async || {
        app.inbox("bob", "").await["conversations"][0]["last_seq"] == 1
    })
    .await;
    assert!(metric(&app, r#"duologue_repairs_total{kind="touched"}"#).await >= 1.0);
}

#[tokio::test]
async fn an_erasure_leaves_no_trace_of_updates_that_are_late() {
    let app = spawn();
    app.send("alice", "bob", "one").await;
    app.send("alice", "carol", "two").await;
    let send = ["alice", "bob", &draft("alice", "bob", "late")];
    first_step(&app, "send_message", &send);
    let erasure = app.request(Method::DELETE, "/users/alice").await.json(200);
    assert_eq!(
        (&erasure["done"], &erasure["messages_erased"]),
        (&json!(true), &json!(3))
    );
    let mut redis = app.redis();
    for (user, texts) in [("bob", ["one", "late"]), ("carol", ["two", "two"])] {
        let [.., journal] = keys_of_user(user);
        let kept: Vec<String> = redis.lrange(journal, 0, -1).unwrap();
        assert!(
            !texts.iter().any(|text| kept.concat().contains(text)),
            "{kept:?}"
        );
    }
    // Neither a sweep nor anything else brings the row back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for key in keys_of_user("alice") {
        assert_eq!(redis.exists(&key), Ok(false), "{key}");
    }
    assert_eq!(outbox_entries(&mut redis), 0);
    assert_eq!(app.badge("bob").await, [0, 0]);
    let again = app.request(Method::DELETE, "/users/bob").await.json(200);
    assert_eq!(again["done"], true);
    let pair: Vec<String> = redis.keys("*alice,bob*").unwrap();
    assert_eq!(pair, Vec::<String>::new());
}

#[test]
fn a_pair_that_has_changed_again_is_not_confirmed() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let _: () = redis
        .zadd_multiple("o", &[(10, "a,b"), (20, "a,c")])
        .unwrap();
    let pairs = ["a,b", "10", "a,c", "19", "a,d", "30"];
    let confirm = eval("confirm_updates", &["o"], &pairs);
    assert_eq!(confirm.query(&mut redis), Ok(1));
    assert_eq!(redis.zrange("o", 0, -1), Ok(vec!["a,c".to_owned()]));
}
