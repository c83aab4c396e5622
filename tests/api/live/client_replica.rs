//! Clients that do what docs/live.md tells them to hold what the service answers when it is asked.

use reqwest::Method;
use serde_json::json;

use crate::harness::access::{spawn_closed_app, token};
use crate::harness::door::Door;
use crate::harness::event_stream::EventStream;
use crate::harness::live::{Heard, PATIENCE};
use crate::harness::mirror::Mirror;
use crate::harness::redis_server::RedisServer;
use crate::harness::{TestApp, lua, spawn_app, spawn_app_on};

fn door(app: &TestApp) -> Door {
    Door::of(&app.address)
}

/// A day of bob's: everything that can happen to a conversation.
async fn day(app: &TestApp) {
    for peer in ["alice", "carol", "dave", "erin"] {
        for body in ["one", "two", "three"] {
            app.send(peer, "bob", body).await;
            app.send("bob", peer, body).await;
        }
    }
    app.read("bob", "alice").await;
    app.mark_delivered("bob", "carol", 5).await;
    app.mark_read("bob", "carol", 3).await;
    app.read("carol", "bob").await;
    app.mark_unread("bob", "alice", 3).await;
    app.edit("carol", "bob", 5, &json!({"body": "four"}))
        .await
        .json(200);
    app.delete("dave", "bob", 5).await.json(200);
    app.react(Method::PUT, ["bob", "carol"], 5, "👍")
        .await
        .json(200);
    app.clear("bob", "erin").await;
    app.flag(Method::PUT, "bob", "dave", "mute").await;
    app.flag(Method::PUT, "bob", "dave", "block").await;
}

#[tokio::test]
async fn a_day_is_mirrored_as_it_happens() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let mut bob = Mirror::open(door(&app), "bob").await;
    bob.assert_equals_truth().await;
    day(&app).await;
    bob.catch_up().await;
    bob.assert_equals_truth().await;
    assert_eq!(bob.told["message.created"], 24);
    assert!(!bob.told.contains_key("reset"));
}

#[tokio::test]
async fn a_day_is_mirrored_when_one_comes_back() {
    let app = spawn_app();
    let mut bob = Mirror::open(door(&app), "bob").await;
    bob.leave();
    day(&app).await;
    bob.catch_up().await;
    bob.assert_equals_truth().await;
    assert_eq!(bob.told["message.created"], 24, "event by event");
    // More than the journal holds is told by conversation.
    bob.leave();
    for n in 1..=550 {
        let peer = format!("peer-{}", n % 7);
        app.send(&peer, "bob", "hi").await;
    }
    bob.catch_up().await;
    bob.assert_equals_truth().await;
    assert_eq!(bob.told["message.created"], 24);
    // One that was never there reads everything.
    lua::fill(&mut app.redis(), "zoe", "bob", 30);
    let late = Mirror::open(door(&app), "bob").await;
    late.assert_equals_truth().await;
}

#[tokio::test]
async fn one_process_is_as_good_as_another() {
    let redis = RedisServer::volatile();
    let (here, there) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    let mut bob = Mirror::open(door(&here), "bob").await;
    here.send("alice", "bob", "here").await;
    there.send("carol", "bob", "there").await;
    bob.catch_up().await;
    bob.assert_equals_truth().await;
    bob.leave();
    bob.move_to(&there.address);
    here.send("alice", "bob", "here again").await;
    bob.catch_up().await;
    bob.assert_equals_truth().await;
    assert_eq!(bob.told["message.created"], 3);
}

#[tokio::test]
async fn a_listener_hears_and_resumes() {
    let app = spawn_app();
    let mut bob = EventStream::open(&app, "bob", None).await;
    assert_eq!(bob.last_id, bob.hello["cursor"].as_str().unwrap());
    let sent = app.send("alice", "bob", "hi").await;
    let event = bob.next().await;
    assert_eq!(event["message"], sent);
    assert_eq!(bob.last_id, event["cursor"].as_str().unwrap());
    let id = bob.last_id.clone();
    drop(bob);
    let sent = app.send("alice", "bob", "hi again").await;
    let mut bob = EventStream::open(&app, "bob", Some(&id)).await;
    assert_eq!(bob.next().await["message"], sent);
    // What it told so far is enough for a mirror.
    let mut mirror = Mirror::open(door(&app), "bob").await;
    mirror.leave();
    app.send("alice", "bob", "and again").await;
    let Heard::Frame(event) = bob.hear(PATIENCE).await else {
        panic!("nothing was heard");
    };
    mirror.process(&event).await;
    mirror.process(&event).await;
    mirror.assert_equals_truth().await;
    assert_eq!(mirror.repeated, 1);
}

#[tokio::test]
async fn a_user_with_a_token_is_mirrored() {
    let app = spawn_closed_app();
    let mut alice = Mirror::open(door(&app).bearer(&token("alice")), "alice").await;
    let hi = json!({"to": "alice", "body": "hi"});
    app.post_as(&token("bob"), &hi).await.json(201);
    alice.catch_up().await;
    alice.assert_equals_truth().await;
    assert_eq!(alice.state.totals, [1, 1]);
    let stranger = EventStream::through(&door(&app)).await.err();
    stranger.unwrap().problem(401, "UNAUTHENTICATED");
}
