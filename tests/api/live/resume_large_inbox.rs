//! Resuming from before the journal, in an inbox that takes several pages to scan.

use std::collections::{BTreeMap, BTreeSet};

use duologue::store::Keys;
use redis::cmd;

use crate::harness::live::device::Device;
use crate::harness::live::resume::{cursor, page, place, polled};
use crate::harness::store::lua::fill;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on};

/// Number of conversations: more than Redis stores as one list, and more than the events of a journal.
const PEERS: usize = 1_000;

/// Sends bob a message from each of some peers.
fn messages(app: &TestApp, peers: std::ops::Range<usize>) {
    let mut redis = app.redis();
    for peer in peers {
        fill(&mut redis, &format!("peer-{peer}"), "bob", 1);
    }
}

/// The peers of the events of a page.
fn peers(page: &serde_json::Value) -> Vec<String> {
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|event| event["peer"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_resume_reports_every_changed_conversation_with_any_limit() {
    let app = spawn_app();
    let begin = place(&app, "bob").await;
    messages(&app, 0..PEERS);
    for limits in [&[1, 2, 3, 50][..], &[7], &[200]] {
        let told = polled(&app, "bob", &begin, limits).await;
        let told: BTreeSet<_> = told.iter().map(|e| e["peer"].as_str().unwrap()).collect();
        assert_eq!(told.len(), PEERS, "{limits:?}");
    }
}

#[tokio::test]
async fn a_resume_omits_unchanged_conversations_and_ends_exactly() {
    let app = spawn_app();
    place(&app, "bob").await;
    messages(&app, 0..PEERS);
    let middle = place(&app, "bob").await;
    messages(&app, 40..50);
    let gone: u64 = cmd("DEL")
        .arg(Keys::new().events("bob"))
        .query(&mut app.redis())
        .unwrap();
    assert_eq!(gone, 1);
    let end = place(&app, "bob").await;
    let mut told = BTreeMap::<_, u32>::new();
    let mut after = middle.clone();
    while after != end {
        let page = page(&app, "bob", &after, 3).await;
        for peer in peers(&page) {
            *told.entry(peer).or_default() += 1;
        }
        page["next_cursor"].as_str().unwrap().clone_into(&mut after);
    }
    assert_eq!(told.len(), 10);
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    // The same over a WebSocket, followed by a live event.
    let mut device = Device::connect_at(&app, "bob", &middle).await;
    for _ in 0..10 {
        assert_eq!(device.next().await["type"], "conversation.changed");
    }
    app.send("peer-3", "bob", "live").await;
    let live = device.next().await;
    assert_eq!(
        (live["prev"].as_str(), &live["message"]["body"]),
        (Some(&*end), &"live".into())
    );
}

#[tokio::test]
async fn a_resume_misses_nothing_after_changes_and_a_restart() {
    let mut redis = RedisServer::durable();
    let app = spawn_app_on(&redis.url());
    let begin = place(&app, "bob").await;
    messages(&app, 0..PEERS);
    let mut told = BTreeSet::new();
    let mut after = begin;
    for step in 0.. {
        let page = page(&app, "bob", &after, 150).await;
        told.extend(peers(&page));
        let next = page["next_cursor"].as_str().unwrap();
        if next == after {
            break;
        }
        next.clone_into(&mut after);
        match step {
            2 => messages(&app, PEERS..PEERS + 100),
            // The order of a scan differs from one Redis process to the next.
            4 => {
                redis.kill();
                redis.restart();
            }
            _ => {}
        }
    }
    assert_eq!(told.len(), PEERS + 100);
    let last = app.send("alice", "bob", "next").await;
    let events = polled(&app, "bob", &after, &[50]).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["message"], last);
    assert_ne!(cursor(&events[0]), after);
}
