//! Several consumers of one subscription: order, nothing missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::rng::Rng;
use crate::harness::{client, spawn_app, spawn_app_on};

const CONVERSATIONS: usize = 200;
const MESSAGES: usize = 4000;
const CONSUMERS: usize = 4;

/// The conversation and the seq of each event, in the order in which it was processed.
type Log = Arc<Mutex<Vec<(String, u64)>>>;

/// Takes events like a consumer that dies now and then: in the middle of a batch, before or after it has
/// acknowledged what it processed. It comes back under another name.
async fn consume(address: String, number: usize, log: Log, done: Arc<AtomicBool>) {
    let (client, mut rng, mut life) = (client(), Rng::new(number as u64), 0);
    while !done.load(Ordering::Relaxed) {
        let consumer = format!("c{number}-{life}");
        let limit = 1 + rng.below(100);
        let query = format!("consumer={consumer}&limit={limit}&wait=1");
        let url = format!("{address}/subscriptions/archive/events?{query}");
        let page: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        let events = page["events"].as_array().unwrap();
        let dies = !events.is_empty() && rng.below(10) == 0;
        let count = if dies {
            rng.below(events.len())
        } else {
            events.len()
        };
        let processed = &events[..count];
        let read = processed.iter().map(|event| {
            let users = event["data"]["users"].to_string();
            (users, event["data"]["message"]["seq"].as_u64().unwrap())
        });
        log.lock().unwrap().extend(read);
        if !dies || rng.below(2) == 0 {
            acknowledge(&client, &address, &consumer, processed).await;
        }
        life += u32::from(dies);
    }
}

async fn acknowledge(client: &Client, address: &str, consumer: &str, events: &[Value]) {
    if events.is_empty() {
        return;
    }
    let ids: Vec<_> = events.iter().map(|event| &event["id"]).collect();
    let body = json!({"consumer": consumer, "ids": ids});
    let url = format!("{address}/subscriptions/archive/ack");
    let answer = client.post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Sends the messages of some conversations.
async fn send(address: String, sender: usize) {
    let client = client();
    let mut rng = Rng::new(sender as u64);
    for _ in 0..MESSAGES / 4 {
        // Each sender has conversations of its own.
        let to = format!("user-{}", sender + 4 * rng.below(CONVERSATIONS / 4));
        let message = json!({"from": "alice", "to": to, "body": "hi"});
        let url = format!("{address}/messages");
        let answer = client.post(url).json(&message).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
}

#[tokio::test]
async fn order_holds_with_consumers_that_die() {
    let app = spawn_app();
    let other = spawn_app_on(&app.redis_url);
    let types = json!({"types": ["message.created"], "ack_wait_s": 5});
    app.subscribe("archive", &types).await;
    let (log, done) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let addresses = [app.address.clone(), other.address.clone()];
    let address = |n: usize| addresses[n % 2].clone();
    let consumers =
        (0..CONSUMERS).map(|n| tokio::spawn(consume(address(n), n, log.clone(), done.clone())));
    let consumers: Vec<_> = consumers.collect();
    let senders = (0..4).map(|n| tokio::spawn(send(address(n), n)));
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let drained = async || {
        let state = app.subscription("archive").await;
        state["lag"] == 0 && state["pending"] == 0
    };
    let within = Duration::from_secs(60);
    crate::harness::eventually("all is processed", within, drained).await;
    done.store(true, Ordering::Relaxed);
    for consumer in consumers {
        consumer.await.unwrap();
    }
    let mut last: HashMap<String, u64> = HashMap::new();
    for (conversation, seq) in log.lock().unwrap().drain(..) {
        let known = last.entry(conversation).or_default();
        // What was processed and not acknowledged comes again; nothing is skipped.
        assert!(seq <= *known + 1, "{seq} after {known}");
        *known = seq.max(*known);
    }
    assert_eq!(last.values().sum::<u64>(), MESSAGES as u64);
}
