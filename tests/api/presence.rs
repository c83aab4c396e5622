//! Who is there, and who is told so.

use std::time::Duration;

use duologue::store::Keys;
use redis::cmd;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::access::{SERVICE_KEY, spawn_closed_app_with, token};
use crate::harness::binary::Binary;
use crate::harness::door::Door;
use crate::harness::event_stream::EventStream;
use crate::harness::live::{Device, Heard};
use crate::harness::lua::keys_of_user;
use crate::harness::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on, spawn_app_with};

/// How long the end of somebody's presence may take to be told: a grace of 3 s, and a second's turn.
const GRACE: Duration = Duration::from_secs(15);

async fn presence(app: &TestApp, user: &str) -> Value {
    let path = format!("/users/{user}/presence");
    app.get(&path).await.json(200)
}

async fn is_online(app: &TestApp, user: &str) -> bool {
    presence(app, user).await["online"] == true
}

/// Waits until a user is there, or not.
async fn becomes(app: &TestApp, user: &str, online: bool) {
    let what = format!("{user} is online: {online}");
    eventually(&what, GRACE, async || is_online(app, user).await == online).await;
}

fn never_seen(user: &str) -> Value {
    json!({"user": user, "online": false, "last_seen": null})
}

/// Seconds since an RFC 3339 time.
fn age(time: &Value) -> i64 {
    let time = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
    (chrono::Utc::now() - time).num_seconds()
}

/// The next change of a peer's presence that a device hears of.
async fn told(device: &mut Device) -> (String, bool) {
    let is_presence = |event: &Value| event["type"] == "presence.changed";
    let event = device.events_until(is_presence).await.pop().unwrap();
    let mut members: Vec<_> = event.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["cursor", "last_seen", "online", "peer", "type"]);
    let online = event["online"] == true;
    assert_eq!(event["last_seen"].is_null(), online, "{event}");
    (event["peer"].as_str().unwrap().to_owned(), online)
}

#[tokio::test]
async fn a_user_is_online_while_a_socket_or_a_stream_is_open_and_was_seen_when_it_closed() {
    let app = spawn_app_with(&["--heartbeat=1"]);
    assert_eq!(presence(&app, "bob").await, never_seen("bob"));
    let device = Device::connect(&app, "bob").await;
    becomes(&app, "bob", true).await;
    assert_eq!(presence(&app, "bob").await["last_seen"], Value::Null);
    device.leave().await;
    becomes(&app, "bob", false).await;
    assert!(age(&presence(&app, "bob").await["last_seen"]) < 15);
    let stream = EventStream::open(&app, "bob", None).await;
    becomes(&app, "bob", true).await;
    drop(stream);
    becomes(&app, "bob", false).await;
    let key = Keys::new().presence("bob");
    let kept: i64 = cmd("TTL").arg(key).query(&mut app.redis()).unwrap();
    assert!((7_700_000..=7_776_000).contains(&kept), "90 days: {kept}");
}

#[tokio::test]
async fn peers_are_told_of_the_first_connection_and_of_the_end_of_the_last_one() {
    let redis = RedisServer::volatile();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    one.send("alice", "bob", "hi").await;
    let mut alice = Device::connect(&one, "alice").await;
    let first = Device::connect(&one, "bob").await;
    assert_eq!(told(&mut alice).await, ("bob".into(), true));
    let second = Device::connect(&one, "bob").await;
    let elsewhere = Device::connect(&other, "bob").await;
    becomes(&other, "bob", true).await;
    first.leave().await;
    second.leave().await;
    // Long enough for the end of the connections to this process to be said.
    let quiet = alice.events_within(Duration::from_secs(6)).await;
    assert_eq!(quiet, [] as [Value; 0], "one is left elsewhere");
    assert!(is_online(&one, "bob").await);
    // Who comes back at once never left.
    elsewhere.leave().await;
    let back = Device::connect(&one, "bob").await;
    let quiet = alice.events_within(Duration::from_secs(6)).await;
    assert_eq!(quiet, [] as [Value; 0], "it came back within the grace");
    back.leave().await;
    assert_eq!(told(&mut alice).await, ("bob".into(), false));
    let _again = Device::connect(&other, "bob").await;
    assert_eq!(told(&mut alice).await, ("bob".into(), true));
}

#[tokio::test]
async fn only_peers_whom_the_user_has_not_blocked_are_told() {
    let app = spawn_app();
    for peer in ["alice", "blocked", "blocker"] {
        app.send(peer, "bob", "hi").await;
    }
    app.flag(Method::PUT, "bob", "blocked", "block").await;
    app.flag(Method::PUT, "blocker", "bob", "block").await;
    let mut ears = Vec::new();
    for user in ["stranger", "blocked", "blocker", "alice"] {
        ears.push(Device::connect(&app, user).await);
    }
    let bob = Device::connect(&app, "bob").await;
    for ear in &mut ears[2..] {
        assert_eq!(told(ear).await, ("bob".into(), true));
    }
    bob.leave().await;
    for ear in &mut ears[2..] {
        assert_eq!(told(ear).await, ("bob".into(), false));
    }
    for ear in &mut ears[..2] {
        // All are told in one go; by now these would have been.
        let heard = ear.events_within(Duration::from_millis(300)).await;
        assert_eq!(heard, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn strangers_and_the_blocked_see_somebody_who_never_was_there() {
    let app = spawn_closed_app_with(&[]);
    let (bob, key) = (
        token("bob"),
        ("authorization", format!("Bearer {SERVICE_KEY}")),
    );
    for peer in ["alice", "blocked", "blocker"] {
        let message = json!({"to": "bob", "body": "hi"});
        app.post_as(&token(peer), &message).await.json(201);
    }
    let key = [(key.0, &*key.1)];
    for path in ["bob/blocked", "blocker/bob"] {
        let path = format!("/conversations/{path}/block");
        app.call("PUT", &path, &key, None).await.json(200);
    }
    let _device = Door::of(&app.address).bearer(&bob).connect(None).await;
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
    let there = async || seen(SERVICE_KEY).await["online"] == true;
    eventually("bob is there", GRACE, there).await;
    let online = json!({"user": "bob", "online": true, "last_seen": null});
    for user in ["alice", "bob", "blocker"] {
        assert_eq!(seen(&token(user)).await, online, "{user}");
    }
    for user in ["stranger", "blocked"] {
        assert_eq!(seen(&token(user)).await, never_seen("bob"), "{user}");
    }
}

#[tokio::test]
async fn up_to_a_hundred_users_are_asked_for_at_once_in_the_order_asked_for() {
    let app = spawn_app();
    let _device = Device::connect(&app, "user-42").await;
    becomes(&app, "user-42", true).await;
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
    for bad in [&many, "", "bob,", ",bob", "bob,bo%20b"] {
        let refused = app.get(&format!("/presence?users={bad}")).await;
        assert_eq!(refused.status, 400, "{bad}");
        refused.blames("/query/users");
    }
    app.get("/presence").await.blames("/query/users");
    let refused = app.get("/presence?users=bob&more=1").await;
    refused.blames("/query/more");
}

#[tokio::test]
async fn a_process_that_dies_without_a_word_is_noticed() {
    let (redis, dir) = (RedisServer::volatile(), tempfile::tempdir().unwrap());
    let app = spawn_app_on(&redis.url());
    let mut dying = Binary::start_with(dir.path(), &[("DUOLOGUE_REDIS_URL", &redis.url())]);
    app.send("alice", "bob", "hi").await;
    let mut alice = Device::connect(&app, "alice").await;
    let _bob = Door::of(&dying.address).user("bob").connect(None).await;
    assert_eq!(told(&mut alice).await, ("bob".into(), true));
    dying.signal(Signal::KILL);
    dying.ended(Duration::from_secs(10));
    assert!(is_online(&app, "bob").await, "nobody can know yet");
    // A word holds for 40 s. To wait them out teaches nothing, so the words are made 40 s older;
    // what is left of the 60 s is the search for them.
    let mut redis = redis.connect();
    let names = Keys::new();
    for key in [names.presence("bob"), names.leases("bob")] {
        let scores: Vec<(String, i64)> = cmd("ZRANGE")
            .arg(&key)
            .arg("0")
            .arg("-1")
            .arg("WITHSCORES")
            .query(&mut redis)
            .unwrap();
        for (member, _) in scores {
            let mut older = cmd("ZINCRBY");
            older.arg(&key).arg("-40000").arg(member);
            older.exec(&mut redis).unwrap();
        }
    }
    // The search goes through everybody in 16 s.
    let Heard::Frame(event) = alice.hear(Duration::from_secs(20)).await else {
        panic!("nobody noticed");
    };
    assert_eq!(
        (&event["peer"], &event["online"]),
        (&json!("bob"), &json!(false))
    );
    assert!(age(&presence(&app, "bob").await["last_seen"]) >= 40);
}

#[tokio::test]
async fn a_process_that_stops_says_who_left_with_it() {
    let redis = RedisServer::volatile();
    let (stopping, staying) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    stopping.send("alice", "bob", "hi").await;
    let mut alice = Device::connect(&staying, "alice").await;
    let mut bob = Device::connect(&stopping, "bob").await;
    assert_eq!(told(&mut alice).await, ("bob".into(), true));
    let stopped = tokio::task::spawn_blocking(move || drop(stopping));
    assert_eq!(bob.closed().await.0, 1012);
    drop(bob);
    stopped.await.unwrap();
    assert_eq!(told(&mut alice).await, ("bob".into(), false));
}

#[tokio::test]
async fn of_an_erased_user_it_is_not_known_that_it_was_ever_there() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    // One with a conversation, one without, one who is still there.
    for user in ["bob", "hermit", "stayer"] {
        app.send("alice", "stayer", "hi").await;
        let device = Device::connect(&app, user).await;
        becomes(&app, user, true).await;
        if user == "stayer" {
            let path = format!("/users/{user}");
            app.request(Method::DELETE, &path).await.json(200);
        }
        device.leave().await;
        becomes(&app, user, false).await;
        if user != "stayer" {
            assert!(presence(&app, user).await["last_seen"].is_string());
            let path = format!("/users/{user}");
            app.request(Method::DELETE, &path).await.json(200);
        }
        assert_eq!(presence(&app, user).await, never_seen(user), "{user}");
    }
    let gone = async || {
        let mut left: Vec<_> = app.contents().into_keys().collect();
        left.retain(|key| key.contains("hermit"));
        left.is_empty()
    };
    eventually("nothing is left of a hermit", GRACE, gone).await;
}

#[tokio::test]
async fn a_device_whose_journal_was_taken_away_or_whose_user_was_erased_goes_on_hearing() {
    let app = spawn_app();
    let mut bob = Device::connect(&app, "bob").await;
    app.send("alice", "bob", "one").await;
    assert_eq!(bob.next().await["message"]["body"], "one");
    // By hand: found when the presence is renewed, within 13 s.
    let [_, _, journal, _] = keys_of_user("bob");
    redis::cmd("DEL")
        .arg(journal)
        .exec(&mut app.redis())
        .unwrap();
    app.send("alice", "bob", "two").await;
    let mut told = Vec::new();
    eventually("bob is told", Duration::from_secs(30), async || {
        told.extend(bob.events_within(Duration::from_millis(200)).await);
        told.iter().any(|event| event["last_seq"] == 2)
    })
    .await;
    assert_eq!(told[0]["type"], "conversation.changed");
    app.send("alice", "bob", "three").await;
    assert_eq!(bob.next().await["message"]["body"], "three");

    app.request(Method::DELETE, "/users/bob").await.json(200);
    bob.events_until(|event| event["type"] == "reset").await;
    eventually("bob hears again", Duration::from_secs(20), async || {
        app.send("alice", "bob", "again").await;
        let heard = bob.events_within(Duration::from_millis(200)).await;
        heard
            .iter()
            .any(|event| event["message"]["body"] == "again")
    })
    .await;
}
