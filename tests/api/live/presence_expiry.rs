//! The end of presence.

use std::sync::Arc;
use std::time::Duration;

use duologue::metrics::Metrics;
use duologue::model::{Retention, UserId};
use duologue::realtime::{Hub, Limits};
use duologue::store::{PARTITIONS, Store};
use duologue::worker::presence::{PresenceSteps, PresenceTask};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with, token};
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Device, Received};
use crate::harness::live::presence::{
    TIMEOUT, age, age_presence, is_online, never_seen, next_presence_change, presence, wait_online,
};
use crate::harness::load_generator::LoadGenerator;
use crate::harness::store::lua::keys_of_user;
use crate::harness::store::redis_proxy::RedisProxy;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};

#[tokio::test]
async fn users_of_a_killed_process_go_offline() {
    let (redis, dir) = (RedisServer::volatile(), tempfile::tempdir().unwrap());
    let app = spawn_app_on(&redis.url());
    let mut dying = ServiceProcess::start_with(dir.path(), &[("DUOLOGUE_REDIS_URL", &redis.url())]);
    app.send("bob", "alice", "hi").await;
    let mut alice = Device::connect(&app, "alice").await;
    let _bob = ConnectOptions::new(&dying.address)
        .user("bob")
        .connect(None)
        .await;
    assert_eq!(next_presence_change(&mut alice).await, ("bob".into(), true));
    dying.signal(Signal::KILL);
    dying.wait_for_exit(Duration::from_secs(10));
    assert!(
        is_online(&app, "bob").await,
        "the presence has not expired yet"
    );
    // A presence expires after 40 s. Instead of waiting, the test makes it 40 s older; what remains
    // of the 60 s is the sweep.
    age_presence(&mut redis.connect(), "bob", 40);
    // The sweep visits every partition within 16 s.
    let Received::Frame(event) = alice.receive(Duration::from_secs(20)).await else {
        panic!("bob is still online");
    };
    assert_eq!(
        (&event["peer"], &event["online"]),
        (&json!("bob"), &json!(false))
    );
    assert!(age(&presence(&app, "bob").await["last_seen"]) >= 40);
}

#[tokio::test]
async fn a_stopping_process_announces_its_users_as_offline() {
    let redis = RedisServer::volatile();
    let (stopping, staying) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    stopping.send("bob", "alice", "hi").await;
    let mut alice = Device::connect(&staying, "alice").await;
    let mut bob = Device::connect(&stopping, "bob").await;
    assert_eq!(next_presence_change(&mut alice).await, ("bob".into(), true));
    let stopped = tokio::task::spawn_blocking(move || drop(stopping));
    assert_eq!(bob.wait_closed().await.0, 1012);
    drop(bob);
    stopped.await.unwrap();
    assert_eq!(
        next_presence_change(&mut alice).await,
        ("bob".into(), false)
    );
}

#[tokio::test]
async fn a_process_that_stops_under_load_drains_every_worker() {
    const USERS: usize = 150;
    let (redis, dir) = (RedisServer::volatile(), tempfile::tempdir().unwrap());
    let staying = spawn_app_on(&redis.url());
    let (url, log) = (redis.url(), dir.path().join("log"));
    // With retention, so that every worker runs but those of files that change.
    let settings = [
        ("DUOLOGUE_REDIS_URL", &*url),
        ("DUOLOGUE_HISTORY_DAYS", "1"),
    ];
    let mut stopping = ServiceProcess::start_logged(dir.path(), &settings, &log);
    let mut connections = Vec::new();
    for n in 0..USERS {
        let options = ConnectOptions::new(&stopping.address).user(&format!("user-{n}"));
        connections.push(options.connect(None).await);
    }
    let online = async || {
        let mut online = 0;
        for n in (0..USERS).step_by(10) {
            online += usize::from(is_online(&staying, &format!("user-{n}")).await);
        }
        online
    };
    let all = async || online().await == USERS / 10;
    eventually("all are online", TIMEOUT, all).await;
    let sender = LoadGenerator::start(&[&stopping.address, &staying.address], "sender", "user-1");
    sender.wait_for_sent(20).await;
    stopping.signal(Signal::TERM);
    let stopped = tokio::task::spawn_blocking(move || {
        stopping.wait_for_exit(Duration::from_secs(20)).success()
    });
    for connection in &mut connections {
        assert_eq!(connection.wait_closed().await.0, 1012);
    }
    drop(connections);
    assert!(stopped.await.unwrap(), "it exits with 0");
    assert_eq!(online().await, 0, "the process said so before it ended");
    sender.finish().await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains("did not stop"), "{log}");
}

#[tokio::test]
async fn one_step_removes_the_expired_presences_of_a_partition() {
    let app = spawn_app();
    let metrics = Arc::new(Metrics::new());
    let store = Store::new(&app.redis_url, None, Retention::default(), metrics.clone()).unwrap();
    let limits = Limits {
        per_user: 1,
        total: 1,
        heartbeat_s: 25,
    };
    let (hub, ..) = Hub::new(&store, limits, metrics);
    let steps = PresenceSteps::new(store, hub.registry().clone());
    let bob = UserId::try_from("bob".to_owned()).unwrap();
    steps.perform(PresenceTask::Renew(bob)).await.unwrap();
    assert!(is_online(&app, "bob").await);
    let search = async || {
        for partition in 0..PARTITIONS {
            steps
                .perform(PresenceTask::Expire(partition))
                .await
                .unwrap();
        }
    };
    search().await;
    assert!(is_online(&app, "bob").await, "it has not expired");
    age_presence(&mut app.redis(), "bob", 40);
    search().await;
    assert!(presence(&app, "bob").await["last_seen"].is_string());
}

#[tokio::test]
async fn an_erased_user_leaves_no_presence() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    // One user with a conversation, one without, one who is still online.
    for user in ["bob", "hermit", "stayer"] {
        app.send("alice", "stayer", "hi").await;
        let device = Device::connect(&app, user).await;
        wait_online(&app, user, true).await;
        if user == "stayer" {
            let path = format!("/users/{user}");
            app.request(Method::DELETE, &path).await.json(200);
        }
        device.close().await;
        wait_online(&app, user, false).await;
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
    eventually("nothing is left of a hermit", TIMEOUT, gone).await;
}

#[tokio::test]
async fn a_device_outlives_its_journal_and_its_users_erasure() {
    let app = spawn_app();
    let mut bob = Device::connect(&app, "bob").await;
    app.send("alice", "bob", "one").await;
    assert_eq!(bob.next().await["message"]["body"], "one");
    // Deleting the journal by hand is noticed when the presence is renewed, within 13 s.
    let [_, _, journal] = keys_of_user("bob");
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
        let received = bob.events_within(Duration::from_millis(200)).await;
        received
            .iter()
            .any(|event| event["message"]["body"] == "again")
    })
    .await;
}

/// The events of a device before a message that marks the end.
async fn events_until_marker(app: &TestApp, device: &mut Device) -> Vec<Value> {
    let message = json!({"from": "alice", "to": "carol", "body": "the end"});
    app.post_as(SERVICE_KEY, &message).await.json(201);
    let is_end = |event: &Value| event["message"]["body"] == "the end";
    device.events_until(is_end).await
}

#[tokio::test]
async fn a_long_redis_outage_takes_nobody_offline() {
    let redis = RedisServer::volatile();
    let proxy = RedisProxy::to(&redis);
    let app = spawn_app_on(&proxy.url());
    app.send("bob", "alice", "hi").await;
    let mut alice = Device::connect(&app, "alice").await;
    let _bob = Device::connect(&app, "bob").await;
    assert_eq!(next_presence_change(&mut alice).await, ("bob".into(), true));
    proxy.block();
    let away = async || app.get("/readyz").await.status == 503;
    eventually("Redis is away", TIMEOUT, away).await;
    age_presence(&mut redis.connect(), "bob", 60);
    proxy.unblock();
    // Sooner than the regular renewal, which may take 13 s.
    let there = async || {
        let answer = app.get("/users/bob/presence").await;
        answer.status == 200 && answer.json(200)["online"] == true
    };
    eventually("bob is there", Duration::from_secs(5), there).await;
    let received = events_until_marker(&app, &mut alice).await;
    assert!(
        received.iter().all(|event| event["online"] != false),
        "{received:?}"
    );
}

#[tokio::test]
async fn a_refused_connection_leaves_no_presence() {
    let app = spawn_secured_app_with(&["--request-rate=1:1"]);
    let backend = ConnectOptions::new(&app.address).bearer(SERVICE_KEY);
    let mut alice = backend.user("alice").connect(None).await;
    for n in 0..20 {
        let user = format!("user-{n}");
        let message = json!({"from": "alice", "to": user, "body": "hi"});
        app.post_as(SERVICE_KEY, &message).await.json(201);
        let token = token(&user);
        app.get_as(&token, "/events").await.json(200);
        let options = ConnectOptions::new(&app.address).bearer(&token);
        match options.try_connect(None).await.unwrap() {
            // More than a second has passed, so the service may try again.
            Ok(_) => (),
            Err(refused) => {
                refused.problem(429, "RATE_LIMITED");
                let mut received = events_until_marker(&app, &mut alice).await;
                received.extend(alice.events_within(Duration::from_millis(300)).await);
                assert!(
                    received
                        .iter()
                        .all(|event| event["type"] != "presence.changed" || event["peer"] != *user),
                    "{received:?}"
                );
                return;
            }
        }
    }
    panic!("no connection was refused");
}
