//! Several consumers of one subscription: order, nothing missing.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::rng::Rng;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};

const CONVERSATIONS: usize = 200;
const CONSUMERS: usize = 4;

/// The conversation and the seq of each event, in the order in which it was processed.
type Log = RefCell<Vec<(String, u64)>>;

/// Takes events like a consumer that dies now and then: in the middle of a batch, before or after it has
/// acknowledged what it processed. It comes back under another name.
async fn consume(app: &TestApp, number: usize, log: &Log, done: &Cell<bool>) {
    let (mut rng, mut life) = (Rng::new(number as u64), 0);
    while !done.get() {
        let consumer = format!("c{number}-{life}");
        let limit = 1 + rng.below(100);
        let query = format!("consumer={consumer}&limit={limit}&wait=1");
        let events = app.take_with("archive", &query).await;
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
        log.borrow_mut().extend(read);
        let acknowledges = !dies || rng.below(2) == 0;
        if acknowledges && !processed.is_empty() {
            app.ack("archive", &consumer, processed).await;
        }
        life += u32::from(dies);
    }
}

/// Sends messages in some conversations.
async fn send(app: &TestApp, sender: usize, messages: usize) {
    let mut rng = Rng::new(sender as u64);
    for _ in 0..messages {
        // Each sender has conversations of its own.
        let to = format!("user-{}", sender + 4 * rng.below(CONVERSATIONS / 4));
        app.send("alice", &to, "hi").await;
    }
}

/// Sends messages while consumers take them and die.
async fn assert_order(messages: usize) {
    let app = spawn_app();
    let other = spawn_app_on(&app.redis_url);
    let types = json!({"types": ["message.created"], "ack_wait_s": 5});
    app.subscribe("archive", &types).await;
    let (log, done, apps) = (Log::default(), Cell::new(false), [&app, &other]);
    let consumers = (0..CONSUMERS).map(|n| consume(apps[n % 2], n, &log, &done));
    let drained = async || {
        let state = app.subscription("archive").await;
        state["lag"] == 0 && state["pending"] == 0
    };
    let sent = async {
        join_all((0..4).map(|n| send(apps[n % 2], n, messages / 4))).await;
        eventually("all is processed", Duration::from_secs(180), drained).await;
        done.set(true);
    };
    tokio::join!(join_all(consumers), sent);
    let mut last: HashMap<String, u64> = HashMap::new();
    for (conversation, seq) in log.take() {
        let known = last.entry(conversation).or_default();
        // What was processed and not acknowledged comes again; nothing is skipped.
        assert!(seq <= *known + 1, "{seq} after {known}");
        *known = seq.max(*known);
    }
    assert_eq!(last.values().sum::<u64>(), messages as u64);
}

#[tokio::test]
async fn order_holds_with_consumers_that_die() {
    assert_order(4_000).await;
}

#[tokio::test]
#[ignore = "takes minutes; run by `make chaos`"]
async fn order_holds_for_20000_messages() {
    assert_order(20_000).await;
}
