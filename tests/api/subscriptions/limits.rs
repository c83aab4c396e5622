//! What is kept for subscriptions, and what is not.

use std::time::Duration;

use duologue::store::Keys;
use duologue::worker::feed::{FeedRetention, trim_feeds};
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::open_store;
use crate::harness::metrics::metric;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::lua::fill;
use crate::harness::store::redis_server::set_full;
use crate::harness::{TestApp, eventually, spawn_app};

/// Trims the feeds as the worker does every 10 seconds. Returns how many events are left.
async fn trim(app: &TestApp, keep: Duration, events: u64) -> u64 {
    let store = open_store(app);
    let subscriptions = store.read_subscriptions().await.unwrap();
    let retention = FeedRetention { keep, events };
    let trimmed = trim_feeds(&store, retention, &subscriptions).await;
    trimmed.unwrap().kept()
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn without_a_subscription_nothing_is_stored_for_one() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    app.read("bob", "alice").await;
    let mut redis = app.redis();
    let feeds: Vec<String> = redis.keys("dm:*feed*").unwrap();
    assert_eq!(feeds, [] as [&str; 0]);
}

#[tokio::test]
async fn what_all_have_acknowledged_is_kept_for_a_while() {
    let app = spawn_app();
    app.subscribe("one", &json!({})).await;
    app.subscribe("two", &json!({})).await;
    for n in 0..10 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    app.drain("one").await;
    let taken = app.take_with("two", "limit=5").await;
    app.ack("two", "default", &taken[..2]).await;
    assert_eq!(trim(&app, HOUR, 1_000_000).await, 10, "for replays");
    assert_eq!(trim(&app, Duration::ZERO, 1_000_000).await, 8);
    let state = app.subscription("two").await;
    let counts = ["lag", "pending", "lost"].map(|count| state[count].as_u64().unwrap());
    assert_eq!(counts, [5, 3, 0]);
    assert_eq!(app.drain("two").await.len(), 8);
    assert_eq!(trim(&app, Duration::ZERO, 1_000_000).await, 0);
}

#[tokio::test]
async fn what_nobody_reads_is_bounded_and_the_loss_is_counted() {
    let app = spawn_app();
    let everything = json!({"types": ["message.created"]});
    for name in ["slow", "stuck", "never"] {
        app.subscribe(name, &everything).await;
    }
    fill(&mut app.redis(), "alice", "bob", 700);
    fill(&mut app.redis(), "carol", "dave", 30);
    let slow = app.take_with("slow", "limit=300").await;
    app.ack("slow", "default", &slow).await;
    let stuck = app.take_with("stuck", "limit=200").await;
    assert_eq!(trim(&app, HOUR, 1_000).await, 730, "below the limit");
    assert_eq!(trim(&app, HOUR, 130).await, 130, "the longest feed is cut");
    for (name, read) in [("slow", slow.len()), ("stuck", 0), ("never", 0)] {
        let state = app.subscription(name).await;
        let left = app.drain(name).await.len();
        let count = |member: &str| usize::try_from(state[member].as_u64().unwrap()).unwrap();
        assert_eq!(count("lag") + count("pending"), left, "{name}: {state}");
        let lost = count("lost");
        assert_eq!(lost + left + read, 730, "{name}: {state}");
        assert!(lost > 0, "{name}");
    }
    let late = app.ack("stuck", "default", &stuck).await;
    assert_eq!(late["acknowledged"], 0);
    app.send("alice", "bob", "the next").await;
    assert_eq!(app.drain("never").await.len(), 1);
}

#[tokio::test]
async fn the_loss_is_in_the_answer_and_in_the_metrics() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    fill(&mut app.redis(), "alice", "bob", 1500);
    trim(&app, HOUR, 1_000).await;
    let lost = async || {
        let page = app.get("/subscriptions/archive/events?limit=1").await;
        page.json(200)["lost"] == 500
    };
    eventually("the answer says it", Duration::from_secs(15), lost).await;
    let measured = async || {
        for (what, count) in [("lag", 999.0), ("pending", 1.0), ("lost", 500.0)] {
            let series = format!("duologue_subscription_{what}{{subscription=\"archive\"}}");
            if (metric(&app, &series).await - count).abs() > 0.1 {
                return false;
            }
        }
        true
    };
    eventually("the metrics say it", Duration::from_secs(15), measured).await;
}

#[tokio::test]
async fn groups_without_a_subscription_are_removed() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let feed = Keys::new().feed("alice,bob");
    let mut redis = app.redis();
    let old = "left,1700000000000000";
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg(&feed).arg(old).arg("$");
    create.exec(&mut redis).unwrap();
    let groups = |redis: &mut DirectConnection| {
        let mut groups = redis::cmd("XINFO");
        let groups = groups.arg("GROUPS").arg(&feed).query(redis);
        let groups: Vec<redis::Value> = groups.unwrap();
        groups.len()
    };
    assert_eq!(groups(&mut redis), 2);
    trim(&app, HOUR, 1_000_000).await;
    assert_eq!(groups(&mut redis), 1);
}

#[tokio::test]
async fn consumers_drain_a_full_redis() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    for n in 0..3 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    set_full(&mut app.redis(), true);
    let refused = app
        .ask(Method::PUT, "/subscriptions/more", &json!({}))
        .await;
    refused.problem(507, "STORAGE_FULL");
    let taken = app.take("archive", "c").await;
    assert_eq!(taken.len(), 3);
    assert_eq!(app.ack("archive", "c", &taken).await["acknowledged"], 3);
    let seek = json!({"to": "start"});
    let moved = app
        .ask(Method::POST, "/subscriptions/archive/seek", &seek)
        .await;
    assert_eq!(moved.json(200)["lag"], 3);
    app.drain("archive").await;
    assert_eq!(trim(&app, Duration::ZERO, 1_000_000).await, 0);
    app.unsubscribe("archive").await;
    let list: Value = app.get("/subscriptions").await.json(200);
    assert_eq!(list["subscriptions"], json!([]));
}
