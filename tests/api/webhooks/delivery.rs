//! What webhooks contain, and in which order they are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::metrics::metric;
use crate::harness::webhooks::{Reaction, Receiver};
use crate::harness::{eventually, spawn_app, spawn_app_on};

#[tokio::test]
async fn an_event_is_sent_as_consumers_take_it() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    app.subscribe("pulled", &json!({})).await;
    app.subscribe("hook", &json!({"url": receiver.url()})).await;
    app.send("alice", "bob", "hi").await;
    app.read("bob", "alice").await;
    let requests = receiver.wait_for(2).await;
    let pulled = app.take("pulled", "c").await;
    for (request, event) in requests.iter().zip(pulled) {
        assert_eq!(request.path, "/events?from=duologue");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(event["id"], request.headers["webhook-id"]);
        assert_eq!(request.event(), event);
    }
    app.wait_until_taken("hook").await;
    let state = app.subscription("hook").await;
    assert_eq!(
        (&state["state"], &state["dead"]),
        (&json!("open"), &json!(0))
    );
    assert_eq!(receiver.received().len(), 2, "each once");
    let series = "duologue_webhook_requests_total{outcome=\"taken\",subscription=\"hook\"}";
    assert!((metric(&app, series).await - 2.0).abs() < 0.1);
    let series = "duologue_webhook_request_duration_seconds_count{subscription=\"hook\"}";
    assert!((metric(&app, series).await - 2.0).abs() < 0.1);
    app.unsubscribe("hook").await;
    let gone = async || !app.get("/metrics").await.text.contains("\"hook\"");
    eventually("its series are gone", Duration::from_secs(15), gone).await;
}

#[tokio::test]
async fn only_wanted_events_are_sent() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    let settings = json!({"url": receiver.url(), "types": ["message.deleted"], "rooms": []});
    app.subscribe("hook", &settings).await;
    app.send("alice", "bob", "hi").await;
    app.delete("alice", "bob", 1).await.json(200);
    let requests = receiver.wait_for(1).await;
    assert_eq!(requests[0].event()["type"], "message.deleted");
    app.wait_until_taken("hook").await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn each_conversation_is_sent_in_order_and_many_at_once() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    receiver.react(|_| Reaction::Late(Duration::from_millis(10), 200));
    app.subscribe_webhook("hook", &receiver).await;
    for n in 0..20 {
        let sends = (0..20).map(|peer| {
            let app = &app;
            async move {
                app.send("alice", &format!("user-{peer}"), &n.to_string())
                    .await
            }
        });
        futures_util::future::join_all(sends).await;
    }
    receiver.wait_for(400).await;
    app.wait_until_taken("hook").await;
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for request in receiver.received() {
        let data = request.event()["data"].clone();
        let conversation = data["users"].to_string();
        let seq = data["message"]["seq"].as_u64().unwrap();
        seqs.entry(conversation).or_default().push(seq);
    }
    assert_eq!(seqs.len(), 20);
    for (conversation, seqs) in seqs {
        assert_eq!(seqs, (1..=20).collect::<Vec<_>>(), "{conversation}");
    }
    let most = receiver.most_open();
    assert!((2..=16).contains(&most), "{most} at once");
    assert!(
        receiver.connections() <= 32,
        "{} connections",
        receiver.connections()
    );
}

#[tokio::test]
async fn of_two_services_one_sends() {
    let app = spawn_app();
    let other = spawn_app_on(&app.redis_url);
    let receiver = Receiver::start();
    app.subscribe_webhook("hook", &receiver).await;
    for n in 0..50 {
        let app = if n % 2 == 0 { &app } else { &other };
        app.send("alice", "bob", &n.to_string()).await;
    }
    app.wait_until_taken("hook").await;
    let received = receiver.received();
    let ids: BTreeSet<_> = received.iter().map(|r| &r.headers["webhook-id"]).collect();
    assert_eq!((ids.len(), received.len()), (50, 50));
}

#[tokio::test]
async fn a_replay_is_sent_again() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    app.subscribe_webhook("hook", &receiver).await;
    for n in 0..3 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    app.wait_until_taken("hook").await;
    let seek = json!({"to": "start"});
    let path = "/subscriptions/hook/seek";
    let moved = app.ask(reqwest::Method::POST, path, &seek).await;
    let moved: Value = moved.json(200);
    assert_eq!(moved["lag"], 3);
    receiver.wait_for(6).await;
    app.wait_until_taken("hook").await;
    assert_eq!(receiver.texts(), ["0", "1", "2", "0", "1", "2"]);
}

#[tokio::test]
async fn webhooks_are_sent_while_redis_is_full() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    receiver.answer(500);
    app.subscribe_webhook("hook", &receiver).await;
    for n in 0..5 {
        app.send("alice", &format!("user-{n}"), "hi").await;
    }
    receiver.wait_for(5).await;
    crate::harness::store::redis_server::set_full(&mut app.redis(), true);
    receiver.answer(200);
    app.wait_until_taken("hook").await;
}
