//! What events say, who is given which, and acknowledging them.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::live::resume::kinds;
use crate::harness::spawn_app;
use crate::harness::subscriptions::bodies;

#[tokio::test]
async fn each_change_of_a_conversation_is_an_event() {
    let app = spawn_app();
    let all = json!({"types": ["message.created", "message.updated", "message.deleted",
        "conversation.read", "conversation.delivered", "user.erased"]});
    app.subscribe("archive", &all).await;
    let sent = app.send("bob", "alice", "first").await;
    let edited = app
        .edit("bob", "alice", 1, &json!({"body": "edited"}))
        .await;
    app.react(Method::PUT, ["alice", "bob"], 1, "👍")
        .await
        .json(200);
    app.mark_delivered("alice", "bob", 1).await;
    app.mark_read("alice", "bob", 1).await;
    let deleted = app.delete("bob", "alice", 1).await.json(200);
    app.flag(Method::PUT, "alice", "bob", "mute").await;
    let events = app.drain("archive").await;
    let said = ["message.created", "message.updated", "message.updated"];
    let more = [
        "conversation.delivered",
        "conversation.read",
        "message.deleted",
    ];
    assert_eq!(kinds(&events), [said, more].concat());
    let data = |n: usize| &events[n]["data"];
    let conversation =
        json!({"users": ["alice", "bob"], "by": "bob", "last_seq": 1, "message": sent});
    assert_eq!(*data(0), conversation);
    assert_eq!(data(1)["message"], edited.json(200));
    assert_eq!(data(2)["by"], "alice");
    assert_eq!(data(2)["message"]["reactions"]["👍"], json!(["alice"]));
    let alice = json!({"users": ["alice", "bob"], "by": "alice", "last_seq": 1});
    let with = |member: &str| {
        let mut data = alice.clone();
        data[member] = json!(1);
        data
    };
    assert_eq!(*data(3), with("delivered_seq"));
    assert_eq!(*data(4), with("read_seq"));
    assert_eq!(data(5)["message"], deleted);
    let ids: Vec<_> = events.iter().map(|e| e["id"].as_str().unwrap()).collect();
    let of_one = |id: &&str| id.split('-').next() == ids[0].split('-').next();
    assert!(ids.iter().all(of_one), "one partition: {ids:?}");
    app.request(Method::DELETE, "/users/bob").await.json(200);
    let events = app.drain("archive").await;
    assert_eq!(kinds(&events).last(), Some(&"user.erased"));
    assert_eq!(events.last().unwrap()["data"], json!({"user": "bob"}));
}

#[tokio::test]
async fn an_expired_message_is_a_tombstone_in_the_feed_too() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let message = json!({"from": "alice", "to": "bob", "body": "secret", "expires_in": 1});
    app.post(&message).await.json(201);
    sleep(Duration::from_millis(1100)).await;
    let events = app.take("archive", "c").await;
    assert_eq!(events[0]["type"], "message.created");
    assert_eq!(bodies(&events[..1]), [""]);
    let is_deletion =
        |event: &Value| event["type"] == "message.deleted" && event["data"].get("by").is_none();
    app.ack("archive", "c", &events).await;
    let is_deleted = events.iter().any(is_deletion);
    let deleted = async || is_deleted || app.drain("archive").await.iter().any(is_deletion);
    let within = Duration::from_secs(5);
    crate::harness::eventually("nobody deleted it", within, deleted).await;
}

#[tokio::test]
async fn a_batch_comes_again_until_it_is_acknowledged() {
    let app = spawn_app();
    app.subscribe("archive", &json!({"ack_wait_s": 5})).await;
    for n in 0..4 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    let first = app.take_with("archive", "consumer=one&limit=3").await;
    assert_eq!(bodies(&first), ["0", "1", "2"]);
    let mut again = app.take_with("archive", "consumer=one&limit=3").await;
    for event in &mut again {
        assert_eq!(event["attempt"], 2);
        event["attempt"] = json!(1);
    }
    assert_eq!(again, first);
    assert_eq!(app.take("archive", "two").await, [] as [Value; 0]);
    app.send("carol", "dave", "elsewhere").await;
    let other = app.take("archive", "two").await;
    assert_eq!(bodies(&other), ["elsewhere"], "another conversation");
    let done = app.ack("archive", "one", &first[..1]).await;
    assert_eq!(done, json!({"acknowledged": 1, "late": []}));
    let rest = app.take_with("archive", "consumer=one").await;
    assert_eq!(
        bodies(&rest),
        ["1", "2"],
        "one batch of a partition at a time"
    );
    let done = app.ack("archive", "one", &rest[1..]).await;
    assert_eq!(done["acknowledged"], 2, "with those before it");
    let done = app.ack("archive", "one", &rest).await;
    assert_eq!(done["acknowledged"], 0, "repeating it does no harm");
    let taken = app.take("archive", "two").await;
    let bodies = BTreeSet::from_iter(bodies(&taken));
    assert_eq!(bodies, BTreeSet::from(["3", "elsewhere"]));
}

#[tokio::test]
async fn an_abandoned_batch_goes_to_another_consumer() {
    let app = spawn_app();
    app.subscribe("archive", &json!({"ack_wait_s": 5})).await;
    app.send("alice", "bob", "0").await;
    app.send("alice", "bob", "1").await;
    let first = app.take_with("archive", "consumer=one&limit=1").await;
    assert_eq!(app.take("archive", "two").await.len(), 0);
    sleep(Duration::from_millis(5100)).await;
    let taken = app.take("archive", "two").await;
    assert_eq!(bodies(&taken), ["0"]);
    assert_eq!(taken[0]["attempt"], 2);
    let late = app.ack("archive", "one", &first).await;
    assert_eq!(late, json!({"acknowledged": 0, "late": [first[0]["id"]]}));
    let done = app.ack("archive", "two", &taken).await;
    assert_eq!(done["acknowledged"], 1);
    assert_eq!(bodies(&app.take("archive", "one").await), ["1"]);
}

#[tokio::test]
async fn each_subscription_has_what_it_wants_of_everything() {
    let app = spawn_app();
    app.subscribe("all", &json!({})).await;
    app.subscribe("deleted", &json!({"types": ["message.deleted"]}))
        .await;
    app.subscribe("rooms", &json!({"rooms": ["general"]})).await;
    for n in 0..30 {
        app.send("alice", &format!("user-{n}"), "hi").await;
    }
    app.delete("alice", "user-7", 1).await.json(200);
    assert_eq!(app.drain("all").await.len(), 31);
    let deleted = app.drain("deleted").await;
    assert_eq!(kinds(&deleted), ["message.deleted"]);
    assert_eq!(app.drain("rooms").await.len(), 0);
    for name in ["all", "deleted", "rooms"] {
        let state = app.subscription(name).await;
        let counts = (&state["lag"], &state["pending"]);
        assert_eq!(counts, (&json!(0), &json!(0)), "{name}");
    }
}

#[tokio::test]
async fn many_unwanted_events_are_skipped_in_one_request() {
    let app = spawn_app();
    app.subscribe("deleted", &json!({"types": ["message.deleted"]}))
        .await;
    crate::harness::store::lua::fill(&mut app.redis(), "alice", "bob", 2500);
    app.delete("alice", "bob", 2500).await.json(200);
    let deleted = app.take("deleted", "c").await;
    assert_eq!(kinds(&deleted), ["message.deleted"]);
}

#[tokio::test]
async fn a_page_of_large_events_is_smaller_than_a_mebibyte() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let body = "x".repeat(10_000);
    for _ in 0..80 {
        app.send("alice", "bob", &body).await;
    }
    let page = app.get("/subscriptions/archive/events?limit=500").await;
    assert!(page.text.len() < 1024 * 1024, "{}", page.text.len());
    let first = page.json(200)["events"].as_array().unwrap().len();
    assert!((40..80).contains(&first), "{first}");
    assert_eq!(app.drain("archive").await.len(), 80);
}

#[tokio::test]
async fn a_head_request_takes_nothing() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    app.send("alice", "bob", "hi").await;
    let path = "/subscriptions/archive/events?consumer=one";
    assert_eq!(app.request(Method::HEAD, path).await.status, 200);
    assert_eq!(app.take("archive", "two").await.len(), 1);
}
