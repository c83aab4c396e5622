//! Clients that follow docs/live.md hold exactly what the service returns.

use reqwest::Method;
use serde_json::json;

use crate::harness::auth::secured_app::{spawn_secured_app, token};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Received, TIMEOUT};
use crate::harness::live::event_stream::EventStream;
use crate::harness::live::replica::Replica;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on, store::lua};

fn options(app: &TestApp) -> ConnectOptions {
    ConnectOptions::new(&app.address)
}

/// Every change of a conversation, from bob's side.
async fn change_everything(app: &TestApp) {
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
async fn a_connected_replica_matches_the_service() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let mut bob = Replica::open(options(&app), "bob").await;
    bob.assert_matches_service().await;
    change_everything(&app).await;
    bob.catch_up().await;
    bob.assert_matches_service().await;
    assert_eq!(bob.event_counts["message.created"], 24);
    assert!(!bob.event_counts.contains_key("reset"));
}

#[tokio::test]
async fn a_reconnecting_replica_matches_the_service() {
    let app = spawn_app();
    let mut bob = Replica::open(options(&app), "bob").await;
    bob.disconnect();
    change_everything(&app).await;
    bob.catch_up().await;
    bob.assert_matches_service().await;
    assert_eq!(bob.event_counts["message.created"], 24, "event by event");
    // More events than the journal holds arrive as `conversation.changed`.
    bob.disconnect();
    for n in 1..=550 {
        let peer = format!("peer-{}", n % 7);
        app.send(&peer, "bob", "hi").await;
    }
    bob.catch_up().await;
    bob.assert_matches_service().await;
    assert_eq!(bob.event_counts["message.created"], 24);
    // A new client reads everything.
    lua::fill(&mut app.redis(), "zoe", "bob", 30);
    let late = Replica::open(options(&app), "bob").await;
    late.assert_matches_service().await;
}

#[tokio::test]
async fn a_replica_resumes_at_another_process() {
    let redis = RedisServer::volatile();
    let (here, there) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    let mut bob = Replica::open(options(&here), "bob").await;
    here.send("alice", "bob", "here").await;
    there.send("carol", "bob", "there").await;
    bob.catch_up().await;
    bob.assert_matches_service().await;
    bob.disconnect();
    bob.switch_to(&there.address);
    here.send("alice", "bob", "here again").await;
    bob.catch_up().await;
    bob.assert_matches_service().await;
    assert_eq!(bob.event_counts["message.created"], 3);
}

#[tokio::test]
async fn a_device_receives_events_and_resumes() {
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
    // The events so far suffice for a replica.
    let mut replica = Replica::open(options(&app), "bob").await;
    replica.disconnect();
    app.send("alice", "bob", "and again").await;
    let Received::Frame(event) = bob.receive(TIMEOUT).await else {
        panic!("nothing was heard");
    };
    replica.process(&event).await;
    replica.process(&event).await;
    replica.assert_matches_service().await;
    assert_eq!(replica.repeated, 1);
}

#[tokio::test]
async fn a_replica_with_a_user_token_matches_the_service() {
    let app = spawn_secured_app();
    let mut alice = Replica::open(options(&app).bearer(&token("alice")), "alice").await;
    let hi = json!({"to": "alice", "body": "hi"});
    app.post_as(&token("bob"), &hi).await.json(201);
    alice.catch_up().await;
    alice.assert_matches_service().await;
    assert_eq!(alice.state.totals, [1, 1, 0]);
    let stranger = EventStream::try_open(&options(&app)).await.err();
    stranger.unwrap().problem(401, "UNAUTHENTICATED");
}
