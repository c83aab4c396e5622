//! Messages whose time is over while nothing deletes them: no worker, no process, a full Redis, a failure.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use duologue::model::rfc3339;
use redis::Commands;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::imports::import;
use super::{
    PATIENCE, outlive, schedule, scheduled, send_expiring, stored, tombstone, wait_until_deleted,
};
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::conversations::message_path;
use crate::harness::http::response::ApiResponse;
use crate::harness::live::device::Device;
use crate::harness::live::resume::{bodies, kinds, page, place, resumed};
use crate::harness::store::redis_server::{RedisServer, set_full};
use crate::harness::{TestApp, client, eventually, keys, spawn_app, spawn_app_on};

/// Removes everything from the schedule, so that no worker deletes anything.
fn empty_schedule(app: &TestApp) {
    let _: usize = app.redis().del(schedule()).unwrap();
}

/// Checks that every way to read shows the tombstone of a message, the only one of alice and bob.
async fn assert_gone_everywhere(app: &TestApp, sent: &Value) {
    let gone = tombstone(sent);
    for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
        for query in ["peek=true", "around=1", "before=2", "after=0"] {
            let page = app.page(user, peer, query).await;
            assert_eq!(page["history"], json!([gone]), "{user} {query}");
        }
        let row = app.inbox(user, "").await["conversations"][0].clone();
        assert_eq!(row["last_message"], gone, "{user}");
        assert_eq!(app.message(user, peer, 1).await.json(200), gone, "{user}");
        let delivered = app.mark_delivered(user, peer, 1).await;
        assert_eq!(delivered["last_message"], gone, "{user}");
        let export = app.get(&format!("/users/{user}/export")).await.text;
        assert!(export.contains(&gone["deleted_at"].to_string()), "{export}");
        assert!(!export.contains("secret"), "{export}");
    }
    for message in app.peek("bob", "alice").await["unread"].as_array().unwrap() {
        assert_eq!(message, &gone);
    }
}

#[tokio::test]
async fn no_read_shows_an_expired_message_if_the_worker_is_late() {
    let app = spawn_app();
    let cursors = [place(&app, "alice").await, place(&app, "bob").await];
    let message = json!({"from": "alice", "to": "bob", "body": "secret", "expires_in": 2});
    let sent = app.send_with_key("k", &message).await.json(201);
    app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    empty_schedule(&app);
    outlive(&sent).await;
    assert_gone_everywhere(&app, &sent).await;
    let replayed = app.send_with_key("k", &message).await;
    assert_eq!(replayed.json(200), tombstone(&sent));
    for (user, cursor) in ["alice", "bob"].into_iter().zip(&cursors) {
        let events = resumed(&app, user, cursor).await;
        assert_eq!(kinds(&events)[..2], ["message.created", "message.updated"]);
        for event in &events[..2] {
            assert_eq!(event["message"], tombstone(&sent), "{user}");
        }
    }
    assert!(stored(&app)[0].contains("secret"), "nothing has deleted it");
}

#[tokio::test]
async fn an_expired_message_cannot_be_changed_before_the_worker_runs() {
    let app = spawn_app();
    let sent = send_expiring(&app, "secret", 2).await;
    let reacted = app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    let before = reacted.header("etag").to_owned();
    empty_schedule(&app);
    outlive(&sent).await;
    let edited = app.edit("alice", "bob", 1, &json!({"body": "x"})).await;
    edited.problem(409, "MESSAGE_DELETED");
    let reacted = app.react(Method::PUT, ["bob", "alice"], 1, "🎉").await;
    reacted.problem(409, "MESSAGE_DELETED");
    let taken_back = app.react(Method::DELETE, ["bob", "alice"], 1, "👍").await;
    assert_eq!(taken_back.json(200), tombstone(&sent));
    assert!(stored(&app)[0].contains("secret"), "nothing has deleted it");
    let path = message_path("alice", "bob", 1);
    let before = [("if-match", &*before)];
    let refused = app.call("DELETE", &path, &before, None).await;
    refused.problem(412, "PRECONDITION_FAILED");
    let shown = app.get(&path).await.header("etag").to_owned();
    let shown = [("if-match", &*shown)];
    let deleted = app.call("DELETE", &path, &shown, None).await;
    assert_eq!(deleted.json(200), tombstone(&sent), "it had expired before");
    assert!(!stored(&app)[0].contains("secret"));
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn what_expires_during_an_outage_is_gone_after_it() {
    let (redis, dir) = (RedisServer::volatile(), TempDir::new().unwrap());
    let settings = [("DUOLOGUE_REDIS_URL", &*redis.url())];
    let killed = ServiceProcess::start_with(dir.path(), &settings);
    let poll = client().get(format!("{}/events?user=bob", killed.address));
    let poll = ApiResponse::read(poll.send().await.unwrap()).await;
    let cursor = poll.json(200)["next_cursor"].as_str().unwrap().to_owned();
    let message = json!({"from": "alice", "to": "bob", "body": "secret", "expires_in": 1});
    let send = client().post(format!("{}/messages", killed.address));
    let send = send.json(&message).send().await.unwrap();
    let sent = ApiResponse::read(send).await.json(201);
    killed.signal(Signal::KILL);
    outlive(&sent).await;
    let app = spawn_app_on(&redis.url());
    assert_gone_everywhere(&app, &sent).await;
    wait_until_deleted(&app, 1).await;
    assert_eq!(app.badge("bob").await, [0, 0]);
    let events = page(&app, "bob", &cursor, 100).await["events"].clone();
    let events = events.as_array().unwrap();
    assert_eq!(bodies(events).concat(), "");
    let deleted = |event: &&Value| event["type"] == "message.deleted";
    assert_eq!(events.iter().filter(deleted).count(), 1);
    assert_eq!(events[0]["message"], tombstone(&sent));
}

#[tokio::test]
async fn two_processes_delete_each_message_once() {
    const MESSAGES: u64 = 60;
    let redis = RedisServer::volatile();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    let mut device = Device::connect(&apps[1], "bob").await;
    for _ in 0..MESSAGES {
        send_expiring(&apps[0], "secret", 5).await;
    }
    assert_eq!(apps[0].badge("bob").await, [MESSAGES, 1]);
    let mut deleted = Vec::new();
    let last = |event: &Value| event["total_unread_count"] == 0;
    for event in device.events_until(last).await {
        if event["type"] == "message.deleted" {
            deleted.push(event["message"]["seq"].as_u64().unwrap());
        }
    }
    deleted.sort_unstable();
    assert_eq!(deleted, (1..=MESSAGES).collect::<Vec<_>>());
    let rest = device.events_within(Duration::from_millis(1500)).await;
    assert_eq!(rest, [Value::Null; 0], "and nothing more");
    assert_eq!(scheduled(&apps[0]), [""; 0]);
}

#[tokio::test]
async fn messages_expire_while_redis_is_full() {
    let app = spawn_app();
    let sent = send_expiring(&app, "secret", 1).await;
    set_full(&mut app.redis(), true);
    outlive(&sent).await;
    wait_until_deleted(&app, 1).await;
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn an_entry_that_fails_is_tried_again_and_delays_no_other() {
    let app = spawn_app();
    let sent = send_expiring(&app, "secret", 2).await;
    let [_, meta] = keys("alice", "bob");
    let mut redis = app.redis();
    // Every script of the conversation fails on a key of another type.
    let aside = format!("{meta},aside");
    redis.rename::<_, _, ()>(&meta, &aside).unwrap();
    redis.set::<_, _, ()>(&meta, "no hash").unwrap();
    let to_carol = json!({"from": "alice", "to": "carol", "body": "secret", "expires_in": 1});
    app.post(&to_carol).await.json(201);
    let deleted = async || {
        let message = app.message("carol", "alice", 1).await.json(200);
        message.get("deleted_at").is_some() && app.badge("carol").await == [0, 0]
    };
    outlive(&sent).await;
    eventually("the other one expires", PATIENCE, deleted).await;
    assert_eq!(scheduled(&app).len(), 1);
    redis.rename::<_, _, ()>(&aside, &meta).unwrap();
    wait_until_deleted(&app, 1).await;
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn a_backlog_of_one_conversation_is_worked_off() {
    const MESSAGES: usize = 1000;
    let app = spawn_app();
    let now = Utc::now();
    let line = json!({
        "from": "alice", "to": "bob", "body": "secret", "sent_at": rfc3339(now),
        "expires_at": rfc3339(now + TimeDelta::seconds(4)),
    });
    let lines = vec![line.to_string(); MESSAGES].join("\n");
    let imported = import(&app, &lines).await.json(200);
    assert_eq!(imported["imported"], MESSAGES);
    assert_eq!(scheduled(&app).len(), MESSAGES, "not yet due");
    let done = async || scheduled(&app).is_empty();
    eventually("all are deleted", Duration::from_secs(20), done).await;
    assert!(!stored(&app).concat().contains("secret"));
}
