//! Many concurrent senders and readers of one conversation, through two services on one Redis.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::http::response::ApiResponse;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{client, seqs, spawn_app_on};

const SENDERS: usize = 6;
const EACH: usize = 60;
const READERS: usize = 4;

async fn send(address: String, sender: usize, left: Arc<AtomicUsize>) -> Vec<u64> {
    let (client, mut sent) = (client(), Vec::new());
    for n in 0..EACH {
        // Every third message goes the other way: a reader's own messages are never unread for the
        // reader.
        let (from, to) = if n % 3 == 0 {
            ("bob", "alice")
        } else {
            ("alice", "bob")
        };
        let message = json!({"from": from, "to": to, "body": format!("{sender}-{n}")});
        let request = client.post(format!("{address}/messages")).json(&message);
        let message = ApiResponse::read(request.send().await.unwrap())
            .await
            .json(201);
        sent.push(message["seq"].as_u64().unwrap());
    }
    left.fetch_sub(1, Ordering::Relaxed);
    sent
}

async fn read(url: String) -> Value {
    let request = client().get(url);
    ApiResponse::read(request.send().await.unwrap())
        .await
        .json(200)
}

/// Reads until everything is sent and once more; returns the messages reported as unread.
async fn read_until_sent(address: String, left: Arc<AtomicUsize>) -> Vec<u64> {
    let (mut reported, mut done) = (Vec::new(), false);
    while !done {
        done = left.load(Ordering::Relaxed) == 0;
        let page = read(format!(
            "{address}/conversations/bob/alice?limit=1&unread_limit=500"
        ))
        .await;
        let unread = seqs(&page["unread"]);
        assert_eq!(page["unread_count"], unread.len(), "{page}");
        assert!(
            unread.is_sorted_by(|newer, older| newer > older),
            "newest first"
        );
        reported.extend(unread);
    }
    reported
}

#[tokio::test]
async fn concurrent_reads_report_each_message_unread_exactly_once() {
    let redis = RedisServer::volatile();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    let address = |n: usize| apps[n % 2].address.clone();
    let left = Arc::new(AtomicUsize::new(SENDERS));
    let (mut senders, mut readers) = (JoinSet::new(), JoinSet::new());
    for n in 0..SENDERS {
        senders.spawn(send(address(n), n, left.clone()));
    }
    for n in 0..READERS {
        readers.spawn(read_until_sent(address(n), left.clone()));
    }
    let mut sent: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    let mut reported: Vec<_> = readers.join_all().await.into_iter().flatten().collect();
    sent.sort_unstable();
    reported.sort_unstable();
    assert_eq!(
        sent,
        (1..=(SENDERS * EACH) as u64).collect::<Vec<_>>(),
        "consecutive, each assigned once"
    );

    let mut senders_of = BTreeMap::new();
    let (mut after, mut more) = (0, true);
    while more {
        let page = apps[0]
            .page("bob", "alice", &format!("limit=200&after={after}"))
            .await;
        for message in page["history"].as_array().unwrap() {
            senders_of.insert(message["seq"].as_u64().unwrap(), message["from"].clone());
        }
        (after, more) = match page["next_after"].as_u64() {
            Some(next) => (next, true),
            None => (after, false),
        };
    }
    let of_alice = senders_of.into_iter().filter(|(_, from)| from == "alice");
    assert_eq!(reported, of_alice.map(|(seq, _)| seq).collect::<Vec<_>>());
    assert_eq!(apps[1].peek("bob", "alice").await["unread_count"], 0);
    assert_eq!(
        apps[1].peek("alice", "bob").await["unread_count"],
        SENDERS * EACH / 3
    );
}

#[tokio::test]
async fn one_of_many_concurrent_readers_gets_the_unread_message() {
    let redis = RedisServer::volatile();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    for _ in 0..20 {
        apps[0].send("alice", "bob", "hi").await;
        let mut readers = JoinSet::new();
        for n in 0..8 {
            readers.spawn(read(format!(
                "{}/conversations/bob/alice",
                apps[n % 2].address
            )));
        }
        let counts = readers.join_all().await;
        let reported: u64 = counts
            .iter()
            .map(|page| page["unread_count"].as_u64().unwrap())
            .sum();
        assert_eq!(reported, 1);
    }
}
