//! An endpoint that is down while much happens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::webhooks::{IMPATIENT, Reaction, Receiver};
use crate::harness::{TestApp, eventually, spawn_app_with};

/// Sends messages in 20 conversations.
async fn send_many(app: &TestApp, count: usize) {
    for n in 0..count {
        app.send("alice", &format!("user-{}", n % 20), &n.to_string())
            .await;
    }
}

/// The seqs that were received of each conversation, without those that were received before.
fn first_seqs(receiver: &Receiver, from: usize) -> BTreeMap<String, Vec<u64>> {
    let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for request in receiver.received().into_iter().skip(from) {
        let data = request.event()["data"].clone();
        let seq = data["message"]["seq"].as_u64().unwrap();
        let known = seqs.entry(data["users"].to_string()).or_default();
        if !known.contains(&seq) {
            known.push(seq);
        }
    }
    seqs
}

#[tokio::test]
async fn an_endpoint_that_is_down_gets_few_requests() {
    // The longest wait between two probes is 60 s, as if 10 minutes took one.
    let (app, receiver) = (
        spawn_app_with(&["--webhook-wait", "500ms"]),
        Receiver::start(),
    );
    receiver.answer(503);
    app.subscribe_webhook("hook", &receiver).await;
    send_many(&app, 1000).await;
    app.wait_for_state("hook", "failing").await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let before = receiver.received().len();
    assert!((5..40).contains(&before), "{before} requests");
    receiver.answer(200);
    app.wait_until_taken("hook").await;
    assert_eq!(app.subscription("hook").await["state"], "open");
    let seqs = first_seqs(&receiver, before);
    assert_eq!(seqs.len(), 20);
    for (conversation, seqs) in seqs {
        assert_eq!(seqs, (1..=50).collect::<Vec<_>>(), "{conversation}");
    }
    assert_eq!(app.dead_letters("hook").await.len(), 0);
}

#[tokio::test]
async fn an_event_that_fails_does_not_keep_the_circuit_open() {
    let (app, receiver) = (spawn_app_with(&IMPATIENT), Receiver::start());
    receiver.answer(500);
    app.subscribe_webhook("hook", &receiver).await;
    app.send("alice", "bob", "bad").await;
    app.wait_for_state("hook", "failing").await;
    app.send("carol", "dave", "good").await;
    receiver.react(|request| Reaction::Status(if request.text() == "bad" { 500 } else { 200 }));
    let taken = async || receiver.texts().contains(&"good".to_owned());
    eventually("the other is a probe", Duration::from_secs(20), taken).await;
    app.wait_for_state("hook", "open").await;
}

#[tokio::test]
async fn a_change_of_the_url_is_tried_at_once() {
    let app = spawn_app_with(&["--webhook-wait", "2s"]);
    let (down, receiver) = (Receiver::start(), Receiver::start());
    down.answer(500);
    app.subscribe_webhook("hook", &down).await;
    send_many(&app, 20).await;
    app.wait_for_state("hook", "failing").await;
    let settings = serde_json::json!({"url": receiver.url(), "types": ["message.created"]});
    let path = "/subscriptions/hook";
    let changed = app.ask(reqwest::Method::PUT, path, &settings).await;
    assert_eq!(changed.json(200)["state"], "open");
    let all = async || receiver.received().len() == 20;
    eventually("all are sent there", Duration::from_secs(20), all).await;
}
