//! How badges are read: like other events, from streams of their own.

use std::collections::BTreeSet;
use std::time::Duration;

use duologue::store::Keys;
use duologue::worker::feed::{FeedRetention, trim_feeds};
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::open_store;
use crate::harness::live::resume::kinds;
use crate::harness::metrics::wait_for_script_runs;
use crate::harness::store::lua::{draft, update_inbox};
use crate::harness::store::redis_server::set_full;
use crate::harness::{TestApp, spawn_app, spawn_app_on};

/// How many streams of badges there are.
pub fn streams(app: &TestApp) -> usize {
    let badges: Vec<String> = app.redis().keys("dm:*:badges").unwrap();
    badges.len()
}

async fn lag_and_pending(app: &TestApp, name: &str) -> Value {
    let state = app.subscription(name).await;
    json!([state["lag"], state["pending"]])
}

fn ids(events: &[Value]) -> BTreeSet<&str> {
    let ids = events.iter().map(|event| event["id"].as_str().unwrap());
    ids.collect()
}

#[tokio::test]
async fn badges_are_stored_only_while_a_subscription_names_them() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    app.send("alice", "bob", "not counted").await;
    assert_eq!(streams(&app), 0);
    app.subscribe_to_badges("push").await;
    assert_eq!(streams(&app), 256);
    app.send("alice", "bob", "counted").await;
    assert_eq!(kinds(&app.drain("push").await), ["badge.changed"]);
    let both = ["message.created", "message.created"];
    assert_eq!(kinds(&app.drain("archive").await), both);
    let types = json!({"types": ["message.created"]});
    let path = "/subscriptions/push";
    app.ask(Method::PUT, path, &types).await.json(200);
    assert_eq!(streams(&app), 0);
    app.send("alice", "bob", "not counted").await;
    assert_eq!(kinds(&app.drain("push").await), ["message.created"]);
}

#[tokio::test]
async fn a_subscription_to_badges_stores_no_other_events() {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    app.send("alice", "bob", "hi").await;
    let feed = Keys::new().feed("alice,bob");
    assert!(!app.redis().exists::<_, bool>(feed).unwrap());
    assert_eq!(lag_and_pending(&app, "push").await, json!([1, 0]));
}

#[tokio::test]
async fn badges_of_a_user_come_in_order_beside_other_events() {
    let app = spawn_app();
    let types = json!({"types": ["message.created", "badge.changed"]});
    app.subscribe("all", &types).await;
    for _ in 0..20 {
        app.send("alice", "bob", "hi").await;
    }
    assert_eq!(lag_and_pending(&app, "all").await, json!([40, 0]));
    let (mut totals, mut seqs) = (Vec::new(), Vec::new());
    loop {
        let events = app.take_with("all", "limit=7").await;
        if events.is_empty() {
            break;
        }
        let again = app.take_with("all", "limit=7").await;
        assert_eq!(ids(&again), ids(&events));
        for event in &events {
            let data = &event["data"];
            let id = event["id"].as_str().unwrap();
            let partition: u16 = id.split('-').next().unwrap().parse().unwrap();
            assert_eq!(partition >= 256, event["type"] == "badge.changed", "{id}");
            if partition >= 256 {
                totals.push(data["total_unread_count"].as_u64().unwrap());
            } else {
                seqs.push(data["last_seq"].as_u64().unwrap());
            }
        }
        app.ack("all", "default", &events).await;
    }
    assert!(totals.iter().copied().eq(1..=20), "{totals:?}");
    assert!(seqs.iter().copied().eq(1..=20), "{seqs:?}");
    assert_eq!(lag_and_pending(&app, "all").await, json!([0, 0]));
    let start = json!({"to": "start"});
    let sought = app
        .ask(Method::POST, "/subscriptions/all/seek", &start)
        .await;
    assert_eq!(sought.json(200)["lag"], 40);
}

#[tokio::test]
async fn a_subscription_reads_badges_of_the_rooms_that_it_names() {
    let app = spawn_app();
    for room in ["general", "random"] {
        app.open_room(room, &["alice", "bob"]).await;
    }
    let settings = json!({"types": ["badge.changed", "message.created"], "rooms": ["general"]});
    app.subscribe("general", &settings).await;
    for to in ["room:general", "room:random", "bob"] {
        app.send("alice", to, "hi").await;
    }
    app.all_filed().await;
    let events = app.drain("general").await;
    let mut told = kinds(&events);
    told.sort_unstable();
    assert_eq!(told, ["badge.changed", "message.created"]);
    assert_eq!(lag_and_pending(&app, "general").await, json!([0, 0]));
}

#[tokio::test]
async fn a_new_badge_wakes_who_waits() {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    let waits = app.take_with("push", "wait=20");
    let sends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.send("alice", "bob", "hi").await;
        tokio::time::Instant::now()
    };
    let (events, sent) = futures_util::future::join(waits, sends).await;
    assert_eq!(events.len(), 1);
    assert!(sent.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn badges_that_nobody_reads_are_dropped_and_counted() {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    for _ in 0..30 {
        app.send("alice", "bob", "hi").await;
    }
    let store = open_store(&app);
    let retention = FeedRetention {
        keep: Duration::from_secs(3600),
        events: 10,
    };
    let subscriptions = store.read_subscriptions().await.unwrap();
    let trimmed = trim_feeds(&store, retention, &subscriptions).await.unwrap();
    assert_eq!(trimmed.kept(), 10);
    let state = app.subscription("push").await;
    assert_eq!((&state["lag"], &state["lost"]), (&json!(10), &json!(20)));
    let totals = app.new_badges("push").await.into_iter();
    let totals: Vec<_> = totals
        .map(|badge| badge["total_unread_count"].clone())
        .collect();
    assert_eq!(json!(totals), json!((21..=30).collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_process_that_knows_no_subscription_tells_badges_too() {
    let app = spawn_app();
    let other = spawn_app_on(&app.redis_url);
    other.open_room("general", &["alice", "bob"]).await;
    let within = Duration::from_secs(20);
    wait_for_script_runs(&other, "list_subscriptions", 1, within).await;
    app.subscribe_to_badges("push").await;
    other.send("alice", "bob", "hi").await;
    other.send("alice", "room:general", "hi").await;
    app.all_filed().await;
    let badges = app.new_badges("push").await;
    let totals: Vec<_> = badges.iter().map(|b| &b["total_unread_count"]).collect();
    assert_eq!(totals, [&json!(1), &json!(2)]);
}

#[tokio::test]
async fn reading_changes_the_badge_while_redis_is_full() {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    app.send("alice", "bob", "hi").await;
    set_full(&mut app.redis(), true);
    app.mark_read("bob", "alice", 1).await;
    let badges = app.new_badges("push").await;
    let totals: Vec<_> = badges
        .iter()
        .map(|badge| &badge["total_unread_count"])
        .collect();
    assert_eq!(totals, [&json!(1), &json!(0)]);
    set_full(&mut app.redis(), false);
}

/// Updates the inbox of bob as a process does on a cluster after the message of alice with this seq.
fn update(app: &TestApp, seq: u64) -> String {
    let (version, base) = (seq.to_string(), (seq - 1).to_string());
    let entry = format!("{seq}|00000|{seq}|0|0|0");
    let message = format!(r#"{{"seq":{seq},{}"#, draft("alice", "bob", "hi"));
    let kind = "message.created";
    let args = [
        "alice", &version, &base, &version, &entry, kind, &message, "",
    ];
    let args = args.map(|arg| redis::Value::BulkString(arg.into()));
    update_inbox(&mut app.redis(), "bob", &redis::Value::Array(args.to_vec()))
}

#[tokio::test]
async fn messages_that_overtake_each_other_have_one_badge() {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    assert_eq!(update(&app, 1), "exact");
    assert_eq!(update(&app, 3), "gap");
    assert_eq!(update(&app, 2), "stale");
    let badges = app.new_badges("push").await;
    let told = badges.iter().map(|badge| {
        let (seq, cause) = (&badge["message"]["seq"], &badge["cause"]);
        json!([badge["total_unread_count"], seq, cause])
    });
    let cause = "message.created";
    let expected = [json!([1, 1, cause]), json!([3, 3, cause])];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(app.totals("bob").await["total_unread_count"], 3);
}
