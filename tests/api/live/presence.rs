//! Presence: who is online, and who is told.

use std::time::Duration;

use duologue::store::Keys;
use redis::cmd;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with, token};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::Device;
use crate::harness::live::event_stream::EventStream;
use crate::harness::live::presence::{
    TIMEOUT, age, is_online, never_seen, next_presence_change, presence, wait_online,
};
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{eventually, spawn_app, spawn_app_on, spawn_app_with};

#[tokio::test]
async fn a_user_is_online_while_connected_and_last_seen_afterwards() {
    let app = spawn_app_with(&["--heartbeat=1"]);
    assert_eq!(presence(&app, "bob").await, never_seen("bob"));
    let device = Device::connect(&app, "bob").await;
    wait_online(&app, "bob", true).await;
    assert_eq!(presence(&app, "bob").await["last_seen"], Value::Null);
    device.close().await;
    wait_online(&app, "bob", false).await;
    assert!(age(&presence(&app, "bob").await["last_seen"]) < 15);
    let stream = EventStream::open(&app, "bob", None).await;
    wait_online(&app, "bob", true).await;
    drop(stream);
    wait_online(&app, "bob", false).await;
    let key = Keys::new().presence("bob");
    let kept: i64 = cmd("TTL").arg(key).query(&mut app.redis()).unwrap();
    assert!((7_700_000..=7_776_000).contains(&kept), "90 days: {kept}");
}

#[tokio::test]
async fn the_grace_period_begins_anew_with_each_absence() {
    let app = spawn_app();
    app.send("bob", "alice", "hi").await;
    let mut alice = Device::connect(&app, "alice").await;
    let first = Device::connect(&app, "bob").await;
    assert_eq!(next_presence_change(&mut alice).await, ("bob".into(), true));
    first.close().await;
    let second = Device::connect(&app, "bob").await;
    // The grace period of the first absence would end during the second one, which is shorter than its own.
    sleep(Duration::from_millis(2500)).await;
    second.close().await;
    sleep(Duration::from_millis(1500)).await;
    let _third = Device::connect(&app, "bob").await;
    let quiet = alice.events_within(Duration::from_secs(5)).await;
    assert_eq!(quiet, [] as [Value; 0]);
}

#[tokio::test]
async fn peers_are_told_of_first_connect_and_last_disconnect() {
    let redis = RedisServer::volatile();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    one.send("bob", "alice", "hi").await;
    let mut alice = Device::connect(&one, "alice").await;
    let first = Device::connect(&one, "bob").await;
    assert_eq!(next_presence_change(&mut alice).await, ("bob".into(), true));
    let second = Device::connect(&one, "bob").await;
    let elsewhere = Device::connect(&other, "bob").await;
    wait_online(&other, "bob", true).await;
    first.close().await;
    second.close().await;
    // Long enough for the end of the connections to this process to be published.
    let quiet = alice.events_within(Duration::from_secs(6)).await;
    assert_eq!(quiet, [] as [Value; 0], "one is left elsewhere");
    assert!(is_online(&one, "bob").await);
    // A user who reconnects at once stays online.
    elsewhere.close().await;
    let back = Device::connect(&one, "bob").await;
    let quiet = alice.events_within(Duration::from_secs(6)).await;
    assert_eq!(quiet, [] as [Value; 0], "it came back within the grace");
    back.close().await;
    assert_eq!(
        next_presence_change(&mut alice).await,
        ("bob".into(), false)
    );
    let _again = Device::connect(&other, "bob").await;
    assert_eq!(next_presence_change(&mut alice).await, ("bob".into(), true));
}

#[tokio::test]
async fn presence_is_published_only_to_unblocked_peers() {
    let app = spawn_app();
    for peer in ["alice", "blocked", "blocker"] {
        app.send("bob", peer, "hi").await;
    }
    app.flag(Method::PUT, "bob", "blocked", "block").await;
    app.flag(Method::PUT, "blocker", "bob", "block").await;
    let mut devices = Vec::new();
    for user in ["stranger", "blocked", "blocker", "alice"] {
        devices.push(Device::connect(&app, user).await);
    }
    let bob = Device::connect(&app, "bob").await;
    for device in &mut devices[2..] {
        assert_eq!(next_presence_change(device).await, ("bob".into(), true));
    }
    bob.close().await;
    for device in &mut devices[2..] {
        assert_eq!(next_presence_change(device).await, ("bob".into(), false));
    }
    for device in &mut devices[..2] {
        // All peers are told in one step; these would have been told by now.
        let received = device.events_within(Duration::from_millis(300)).await;
        assert_eq!(received, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn a_message_shows_its_sender_no_presence() {
    let app = spawn_secured_app_with(&[]);
    let write = async |from: &str, to: &str| {
        let message = json!({"to": to, "body": "hi"});
        app.post_as(&token(from), &message).await.json(201);
    };
    let seen = async |credential: &str| {
        let presence = app.get_as(credential, "/users/bob/presence").await;
        presence.json(200)["online"] == true
    };
    let connect = async |user: &str| {
        let options = ConnectOptions::new(&app.address).bearer(&token(user));
        options.connect(None).await
    };
    write("stranger", "bob").await;
    write("friend", "bob").await;
    write("bob", "friend").await;
    let mut stranger = connect("stranger").await;
    let mut friend = connect("friend").await;
    let bob = connect("bob").await;
    assert_eq!(
        next_presence_change(&mut friend).await,
        ("bob".into(), true)
    );
    let received = stranger.events_within(Duration::from_millis(500)).await;
    assert_eq!(received, [] as [Value; 0]);
    assert!(seen(&token("friend")).await);
    assert!(!seen(&token("stranger")).await, "before bob answers");
    // Reading is not an answer.
    let marked = ("authorization", &*format!("Bearer {}", token("bob")));
    let seq = json!({"seq": 1});
    let path = "/conversations/bob/stranger/read";
    app.call("PUT", path, &[marked], Some(&seq)).await.json(200);
    assert!(!seen(&token("stranger")).await);
    write("bob", "stranger").await;
    assert!(seen(&token("stranger")).await, "after bob answered");
    write("stranger", "bob").await;
    assert!(seen(&token("stranger")).await, "after another message");
    bob.close().await;
    let is_presence = |event: &Value| event["type"] == "presence.changed";
    let told = stranger.events_until(is_presence).await.pop().unwrap();
    assert_eq!(
        (&told["peer"], &told["online"]),
        (&json!("bob"), &json!(false))
    );
}

#[tokio::test]
async fn strangers_and_blocked_users_see_no_presence() {
    let app = spawn_secured_app_with(&[]);
    let (bob, key) = (
        token("bob"),
        ("authorization", format!("Bearer {SERVICE_KEY}")),
    );
    for peer in ["alice", "blocked", "blocker"] {
        let message = json!({"to": peer, "body": "hi"});
        app.post_as(&bob, &message).await.json(201);
    }
    let key = [(key.0, &*key.1)];
    for path in ["bob/blocked", "blocker/bob"] {
        let path = format!("/conversations/{path}/block");
        app.call("PUT", &path, &key, None).await.json(200);
    }
    let _device = ConnectOptions::new(&app.address)
        .bearer(&bob)
        .connect(None)
        .await;
    let seen = async |credential: &str| {
        let one = app
            .get_as(credential, "/users/bob/presence")
            .await
            .json(200);
        let many = app
            .get_as(credential, "/presence?users=bob")
            .await
            .json(200);
        assert_eq!(many, json!({"users": [one]}));
        one
    };
    let is_online = async || {
        let bob = app.get_as(SERVICE_KEY, "/users/bob/presence").await;
        bob.json(200)["online"] == true
    };
    eventually("bob is online", TIMEOUT, is_online).await;
    assert_eq!(seen(SERVICE_KEY).await["online"], true);
    let online = json!({"user": "bob", "online": true, "last_seen": null});
    for user in ["alice", "bob", "blocker"] {
        assert_eq!(seen(&token(user)).await, online, "{user}");
    }
    for user in ["stranger", "blocked"] {
        assert_eq!(seen(&token(user)).await, never_seen("bob"), "{user}");
    }
}

#[tokio::test]
async fn presence_of_up_to_100_users_keeps_the_requested_order() {
    let app = spawn_app();
    let _device = Device::connect(&app, "user-42").await;
    wait_online(&app, "user-42", true).await;
    let names = |count: usize| (0..count).map(|n| format!("user-{n}")).collect::<Vec<_>>();
    let path = format!("/presence?users={}", names(100).join(","));
    let answer = app.get(&path).await.json(200);
    let users = answer["users"].as_array().unwrap();
    for (name, user) in names(100).iter().zip(users) {
        assert_eq!(&user["user"], name);
        assert_eq!(user["online"], name == "user-42");
    }
    assert_eq!(users.len(), 100);
    let many = names(101).join(",");
    let spaced = app.get("/presence?users=bob,%20user-42%20,carol").await;
    assert_eq!(spaced.json(200)["users"][1]["user"], "user-42");
    for bad in [&many, "", "bob,", ",bob", "bob,bo%20b"] {
        let refused = app.get(&format!("/presence?users={bad}")).await;
        assert_eq!(refused.status, 400, "{bad}");
        refused.invalid_field("/query/users");
    }
    app.get("/presence").await.invalid_field("/query/users");
    let refused = app.get("/presence?users=bob&more=1").await;
    refused.invalid_field("/query/more");
}
