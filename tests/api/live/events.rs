//! The events that each change publishes: names, payloads, and an unbroken `prev` chain.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::pubsub_listener::PubSubListener;
use crate::harness::{TestApp, spawn_app};

/// A service, and subscriptions to the events of alice and bob.
fn listen() -> (TestApp, [PubSubListener; 2]) {
    let app = spawn_app();
    let ears = ["alice", "bob"].map(|user| PubSubListener::subscribe(&app.redis_url, user));
    (app, ears)
}

/// The events of both since the last call.
fn both(ears: &mut [PubSubListener; 2]) -> [Vec<Value>; 2] {
    let [alice, bob] = ears;
    [alice.drain_events(), bob.drain_events()]
}

/// The only event, which must have this type and peer.
#[track_caller]
fn only(events: &[Value], kind: &str, peer: &str) -> Value {
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
    let (app, mut ears) = listen();
    let sent = app.send("alice", "bob", "hi").await;
    let [alice, bob] = both(&mut ears);
    let to_alice = only(&alice, "message.created", "bob");
    let to_bob = only(&bob, "message.created", "alice");
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
        "message",
    ];
    assert_eq!(members, expected);
}

#[tokio::test]
async fn receipt_events_reach_both_users() {
    let (app, mut ears) = listen();
    for _ in 0..3 {
        app.send("alice", "bob", "hi").await;
    }
    both(&mut ears);
    app.mark_delivered("bob", "alice", 3).await;
    let [alice, bob] = both(&mut ears);
    let delivered = "conversation.delivered";
    assert_eq!(positions(&only(&alice, delivered, "bob")), [3, 0, 0, 3]);
    assert_eq!(positions(&only(&bob, delivered, "alice")), [3, 0, 0, 0]);
    app.mark_read("bob", "alice", 2).await;
    let [alice, bob] = both(&mut ears);
    let (alice, bob) = (
        only(&alice, "conversation.read", "bob"),
        only(&bob, "conversation.read", "alice"),
    );
    assert_eq!((positions(&alice), counts(&alice)), ([3, 0, 2, 3], [0; 3]));
    assert_eq!((positions(&bob), counts(&bob)), ([3, 2, 0, 0], [1; 3]));
    assert!(alice.get("message").is_none());
    // A read that resets the count is a receipt too.
    app.read("bob", "alice").await;
    let [alice, bob] = both(&mut ears);
    let alice = only(&alice, "conversation.read", "bob");
    assert_eq!(positions(&alice), [3, 0, 3, 3]);
    assert_eq!(counts(&only(&bob, "conversation.read", "alice")), [0; 3]);
}

#[tokio::test]
async fn edit_and_reaction_events_carry_the_current_message() {
    let (app, mut ears) = listen();
    app.send("alice", "bob", "hi").await;
    both(&mut ears);
    let edit = json!({"body": "hello"});
    let edited = app.edit("alice", "bob", 1, &edit).await.json(200);
    let users = ["bob", "alice"];
    let reacted = app.react(Method::PUT, users, 1, "👍").await.json(200);
    let taken_back = app.react(Method::DELETE, users, 1, "👍").await.json(200);
    for (events, peer) in both(&mut ears).iter().zip(["bob", "alice"]) {
        let messages: Vec<_> = events.iter().map(|event| &event["message"]).collect();
        assert_eq!(messages, [&edited, &reacted, &taken_back]);
        for event in events {
            only(std::slice::from_ref(event), "message.updated", peer);
        }
    }
}

#[tokio::test]
async fn a_deletion_event_carries_the_tombstone_and_counts() {
    let (app, mut ears) = listen();
    app.send("alice", "bob", "hi").await;
    both(&mut ears);
    let tombstone = app.delete("alice", "bob", 1).await.json(200);
    let [alice, bob] = both(&mut ears);
    let bob = only(&bob, "message.deleted", "alice");
    assert_eq!((&bob["message"], counts(&bob)), (&tombstone, [0; 3]));
    let alice = only(&alice, "message.deleted", "bob");
    assert_eq!(alice["message"], tombstone);
}

#[tokio::test]
async fn private_changes_are_published_only_to_their_user() {
    let (app, mut ears) = listen();
    app.send("alice", "bob", "hi").await;
    app.read("bob", "alice").await;
    both(&mut ears);
    app.mark_unread("bob", "alice", 1).await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    app.flag(Method::DELETE, "bob", "alice", "mute").await;
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    let [alice, bob] = both(&mut ears);
    assert_eq!(alice, [] as [Value; 0]);
    assert_eq!(bob.len(), 5, "{bob:?}");
    assert!(
        bob.iter()
            .all(|event| event["type"] == "conversation.changed")
    );
    assert_eq!(counts(&bob[0]), [1; 3]);
    app.clear("bob", "alice").await;
    let [_, bob] = both(&mut ears);
    assert_eq!(counts(&only(&bob, "conversation.changed", "alice")), [0; 3]);
}

#[tokio::test]
async fn each_event_names_the_previous_one_across_conversations() {
    let (app, mut ears) = listen();
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
    for events in both(&mut ears) {
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
    let (app, mut ears) = listen();
    let hi = json!({"from": "alice", "to": "bob", "body": "hi"});
    app.send_with_key("k", &hi).await.json(201);
    app.flag(Method::PUT, "alice", "bob", "block").await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    app.mark_read("bob", "alice", 1).await;
    both(&mut ears);
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
    assert_eq!(both(&mut ears), none);
    app.delete("alice", "bob", 1).await.json(200);
    both(&mut ears);
    app.delete("alice", "bob", 1).await.json(200);
    assert_eq!(both(&mut ears), none, "deleted already");
}
