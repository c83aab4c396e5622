//! The events that each change publishes: names, payloads, and an unbroken `prev` chain.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::pubsub_listener::PubSubListener;
use crate::harness::{TestApp, spawn_app};

/// A service, and subscriptions to the events of alice and bob.
fn subscribe() -> (TestApp, [PubSubListener; 2]) {
    let app = spawn_app();
    let listeners = ["alice", "bob"].map(|user| PubSubListener::subscribe(&app.redis_url, user));
    (app, listeners)
}

/// The events of both since the last call.
fn drain_both(listeners: &mut [PubSubListener; 2]) -> [Vec<Value>; 2] {
    let [alice, bob] = listeners;
    [alice.drain_events(), bob.drain_events()]
}

/// The only event, which must have this type and peer.
#[track_caller]
fn only_event(events: &[Value], kind: &str, peer: &str) -> Value {
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["type"], &events[0]["peer"]),
        (&json!(kind), &json!(peer)),
        "{events:?}"
    );
    events[0].clone()
}

/// The counts of an event: unread here, in total, and conversations with unread messages.
fn counts(event: &Value) -> [u64; 3] {
    let names = ["unread_count", "total_unread_count", "unread_conversations"];
    names.map(|name| event[name].as_u64().unwrap())
}

/// The seqs of an event: last, read, read by the peer, delivered to the peer.
fn positions(event: &Value) -> [u64; 4] {
    let names = [
        "last_seq",
        "read_seq",
        "peer_read_seq",
        "peer_delivered_seq",
    ];
    names.map(|name| event[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_message_event_carries_what_each_screen_needs() {
    let (app, mut listeners) = subscribe();
    let sent = app.send("alice", "bob", "hi").await;
    let [alice, bob] = drain_both(&mut listeners);
    let to_alice = only_event(&alice, "message.created", "bob");
    let to_bob = only_event(&bob, "message.created", "alice");
    assert_eq!((&to_alice["message"], &to_bob["message"]), (&sent, &sent));
    assert_eq!(counts(&to_alice), [0, 0, 0]);
    assert_eq!(counts(&to_bob), [1, 1, 1]);
    assert_eq!(positions(&to_bob), [1, 0, 0, 0]);
    let members: Vec<_> = to_bob.as_object().unwrap().keys().collect();
    let expected = [
        "type",
        "cursor",
        "prev",
        "peer",
        "unread_count",
        "last_seq",
        "read_seq",
        "peer_read_seq",
        "peer_delivered_seq",
        "total_unread_count",
        "unread_conversations",
        "muted_unread_count",
        "message",
    ];
    assert_eq!(members, expected);
}

#[tokio::test]
async fn receipt_events_reach_both_users() {
    let (app, mut listeners) = subscribe();
    for _ in 0..3 {
        app.send("alice", "bob", "hi").await;
    }
    drain_both(&mut listeners);
    app.mark_delivered("bob", "alice", 3).await;
    let [alice, bob] = drain_both(&mut listeners);
    let delivered = "conversation.delivered";
    assert_eq!(
        positions(&only_event(&alice, delivered, "bob")),
        [3, 0, 0, 3]
    );
    assert_eq!(
        positions(&only_event(&bob, delivered, "alice")),
        [3, 0, 0, 0]
    );
    app.mark_read("bob", "alice", 2).await;
    let [alice, bob] = drain_both(&mut listeners);
    let (alice, bob) = (
        only_event(&alice, "conversation.read", "bob"),
        only_event(&bob, "conversation.read", "alice"),
    );
    assert_eq!((positions(&alice), counts(&alice)), ([3, 0, 2, 3], [0; 3]));
    assert_eq!((positions(&bob), counts(&bob)), ([3, 2, 0, 0], [1; 3]));
    assert!(alice.get("message").is_none());
    // A read that resets the count is a receipt too.
    app.read("bob", "alice").await;
    let [alice, bob] = drain_both(&mut listeners);
    let alice = only_event(&alice, "conversation.read", "bob");
    assert_eq!(positions(&alice), [3, 0, 3, 3]);
    assert_eq!(
        counts(&only_event(&bob, "conversation.read", "alice")),
        [0; 3]
    );
}

#[tokio::test]
async fn edit_and_reaction_events_carry_the_current_message() {
    let (app, mut listeners) = subscribe();
    app.send("alice", "bob", "hi").await;
    drain_both(&mut listeners);
    let edit = json!({"body": "hello"});
    let edited = app.edit("alice", "bob", 1, &edit).await.json(200);
    let users = ["bob", "alice"];
    let reacted = app.react(Method::PUT, users, 1, "👍").await.json(200);
    let taken_back = app.react(Method::DELETE, users, 1, "👍").await.json(200);
    for (events, peer) in drain_both(&mut listeners).iter().zip(["bob", "alice"]) {
        let messages: Vec<_> = events.iter().map(|event| &event["message"]).collect();
        assert_eq!(messages, [&edited, &reacted, &taken_back]);
        for event in events {
            only_event(std::slice::from_ref(event), "message.updated", peer);
        }
    }
}

#[tokio::test]
async fn a_deletion_event_carries_the_tombstone_and_counts() {
    let (app, mut listeners) = subscribe();
    app.send("alice", "bob", "hi").await;
    drain_both(&mut listeners);
    let tombstone = app.delete("alice", "bob", 1).await.json(200);
    let [alice, bob] = drain_both(&mut listeners);
    let bob = only_event(&bob, "message.deleted", "alice");
    assert_eq!((&bob["message"], counts(&bob)), (&tombstone, [0; 3]));
    let alice = only_event(&alice, "message.deleted", "bob");
    assert_eq!(alice["message"], tombstone);
}

#[tokio::test]
async fn private_changes_are_published_only_to_their_user() {
    let (app, mut listeners) = subscribe();
    app.send("alice", "bob", "hi").await;
    app.read("bob", "alice").await;
    drain_both(&mut listeners);
    app.mark_unread("bob", "alice", 1).await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    app.flag(Method::DELETE, "bob", "alice", "mute").await;
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    let [alice, bob] = drain_both(&mut listeners);
    assert_eq!(alice, [] as [Value; 0]);
    assert_eq!(bob.len(), 5, "{bob:?}");
    assert!(
        bob.iter()
            .all(|event| event["type"] == "conversation.changed")
    );
    assert_eq!(counts(&bob[0]), [1; 3]);
    app.clear("bob", "alice").await;
    let [_, bob] = drain_both(&mut listeners);
    assert_eq!(
        counts(&only_event(&bob, "conversation.changed", "alice")),
        [0; 3]
    );
}

#[tokio::test]
async fn each_event_names_the_previous_one_across_conversations() {
    let (app, mut listeners) = subscribe();
    for n in 0..5 {
        app.send("alice", "bob", "hi").await;
        app.send("carol", "bob", "hi").await;
        app.send("bob", "carol", "hi").await;
        app.mark_read("bob", "alice", n + 1).await;
        app.edit("alice", "bob", n + 1, &json!({"body": "hello"}))
            .await;
        app.flag(Method::PUT, "bob", "carol", "mute").await;
        app.delete("alice", "bob", n + 1).await;
    }
    for events in drain_both(&mut listeners) {
        assert!(events.len() >= 20, "{}", events.len());
        let epoch = |cursor: &str| cursor.split_once('-').unwrap().0.to_owned();
        let offset = |cursor: &str| cursor.split_once('-').unwrap().1.parse::<u64>().unwrap();
        let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        assert_eq!(offset(&text(&events[0], "prev")), 0, "the first of a user");
        for pair in events.windows(2) {
            let (prev, cursor) = (text(&pair[1], "prev"), text(&pair[1], "cursor"));
            assert_eq!(prev, text(&pair[0], "cursor"), "{pair:?}");
            assert_eq!(epoch(&prev), epoch(&cursor));
            assert!(offset(&prev) < offset(&cursor), "{pair:?}");
        }
    }
}

#[tokio::test]
async fn refused_requests_and_no_ops_publish_no_event() {
    let (app, mut listeners) = subscribe();
    let hi = json!({"from": "alice", "to": "bob", "body": "hi"});
    app.send_with_key("k", &hi).await.json(201);
    app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    app.flag(Method::PUT, "alice", "bob", "block").await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.mark_read("bob", "alice", 1).await;
    drain_both(&mut listeners);
    let users = ["bob", "alice"];
    let refusals = [
        (
            app.post(&json!({"from": "bob", "to": "alice", "body": "hi"}))
                .await,
            403,
        ),
        (
            app.post(&json!({"from": "alice", "to": "bob", "body": "hi", "reply_to": 2}))
                .await,
            422,
        ),
        (
            app.send_with_key("k", &json!({"from": "alice", "to": "bob", "body": "ho"}))
                .await,
            422,
        ),
        (
            app.edit("bob", "alice", 1, &json!({"body": "mine"})).await,
            403,
        ),
        (
            app.edit("alice", "bob", 2, &json!({"body": "none"})).await,
            404,
        ),
        (app.delete("bob", "alice", 1).await, 403),
        (app.react(Method::PUT, users, 2, "👍").await, 404),
        (app.react(Method::PUT, users, 1, "🎉").await, 403),
        // Repeated changes publish nothing either.
        (app.send_with_key("k", &hi).await, 200),
        (app.react(Method::PUT, users, 1, "👍").await, 200),
        (app.react(Method::DELETE, users, 1, "🎉").await, 200),
    ];
    for (answer, status) in refusals {
        assert_eq!(answer.status, status, "{answer:?}");
    }
    app.mark_read("bob", "alice", 1).await;
    app.mark_delivered("bob", "alice", 0).await;
    app.mark_unread("bob", "alice", 2).await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    app.read("bob", "alice").await;
    app.peek("alice", "bob").await;
    app.read("bob", "carol").await;
    app.clear("bob", "carol").await;
    let none: [Vec<Value>; 2] = [vec![], vec![]];
    // Alice's block is private, and her peek published nothing either.
    assert_eq!(drain_both(&mut listeners), none);
    app.delete("alice", "bob", 1).await.json(200);
    drain_both(&mut listeners);
    app.delete("alice", "bob", 1).await.json(200);
    assert_eq!(drain_both(&mut listeners), none, "deleted already");
}
