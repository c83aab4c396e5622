//! An endpoint that is down while much happens.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use crate::harness::webhooks::{IMPATIENT, Reaction, Receiver};
use crate::harness::{TestApp, eventually, spawn_app_with};

/// Sends messages in 20 conversations.
async fn send_many(app: &TestApp, count: usize) {
    send_slowly(app, count, Duration::ZERO).await;
}

/// The same within a time, by four senders.
async fn send_slowly(app: &TestApp, count: usize, length: Duration) {
    let begin = Instant::now();
    let interval = length / u32::try_from(count).unwrap();
    let senders = (0..4).map(async |sender| {
        for n in (sender..count).step_by(4) {
            sleep_until(begin + interval * u32::try_from(n).unwrap()).await;
            let to = format!("user-{}", n % 20);
            app.send("alice", &to, &n.to_string()).await;
        }
    });
    join_all(senders).await;
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

/// Sends messages while an endpoint is down. It must get few requests meanwhile, and then each conversation in order.
/// The first of the waits from which all others are derived is 5 s by default, and all are in proportion to it.
async fn assert_outage_is_survived(first_wait: &str, messages: usize, length: Duration) {
    let (app, receiver) = (
        spawn_app_with(&["--webhook-wait", first_wait]),
        Receiver::start(),
    );
    receiver.answer(503);
    app.subscribe_webhook("hook", &receiver).await;
    send_slowly(&app, messages, length).await;
    app.wait_for_state("hook", "failing").await;
    let before = receiver.received().len();
    assert!((5..40).contains(&before), "{before} requests");
    receiver.answer(200);
    app.wait_long_until_taken("hook", Duration::from_secs(300))
        .await;
    assert_eq!(app.subscription("hook").await["state"], "open");
    let seqs = first_seqs(&receiver, before);
    assert_eq!(seqs.len(), 20);
    let expected: Vec<_> = (1..=messages as u64 / 20).collect();
    for (conversation, seqs) in seqs {
        assert_eq!(seqs, expected, "{conversation}");
    }
    assert_eq!(app.dead_letters("hook").await.len(), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_down_gets_few_requests() {
    // As if it were down for 100 seconds.
    assert_outage_is_survived("500ms", 1_000, Duration::from_secs(10)).await;
}

#[tokio::test]
#[ignore = "takes eleven minutes; run by `make chaos`"]
async fn ten_minutes_of_outage_are_survived() {
    assert_outage_is_survived("5s", 1_000, Duration::from_secs(600)).await;
}

#[tokio::test]
#[ignore = "takes two minutes; run by `make chaos`"]
async fn two_hours_of_outage_a_hundred_times_as_fast() {
    assert_outage_is_survived("50ms", 14_400, Duration::from_secs(72)).await;
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
