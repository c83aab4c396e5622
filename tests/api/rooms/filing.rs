//! Filing: what happens in a room reaches the inbox and the stream of each member, whatever fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::live::resume::{cursor, place, polled};
use crate::harness::load_generator::LoadGenerator;
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::store::rooms::{create_room, send_in_room};
use crate::harness::{TestApp, client, eventually, spawn_app, spawn_app_on};
use crate::rooms::FILED;

const ROOM: &str = "room:general";

pub fn users(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("user-{n}")).collect()
}

/// The seqs of the messages whose creation a user was told, each once and in order. The chain of events has no gap.
pub fn created(events: &[Value], after: &str) -> Vec<u64> {
    let mut prev = after.to_owned();
    let mut seqs = Vec::new();
    for event in events {
        assert_eq!(event["prev"], prev, "{event}");
        prev = cursor(event);
        if event["type"] == "message.created" {
            seqs.push(event["message"]["seq"].as_u64().unwrap());
        }
    }
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    seqs
}

/// Compares what a member sees of the room, its row in the inbox, and the badge.
pub async fn assert_exact(app: &TestApp, user: &str) {
    let page = app.peek(user, ROOM).await;
    let number = |name: &str| page[name].as_u64().unwrap();
    assert_eq!(
        number("unread_count"),
        number("last_seq") - number("read_seq"),
        "{user}"
    );
    let inbox = app.inbox(user, "").await;
    let rows = inbox["conversations"].as_array().unwrap();
    for name in ["unread_count", "last_seq", "read_seq"] {
        assert_eq!(rows[0][name], page[name], "{user}: {name}");
    }
    let unread = number("unread_count");
    assert_eq!(
        app.badge(user).await,
        [unread, u64::from(unread > 0)],
        "{user}"
    );
}

/// Sends from `users` at once, each so many messages.
async fn send_from(app: &TestApp, users: &[String], each: usize) {
    let mut sending = JoinSet::new();
    for user in users {
        let (address, user) = (format!("{}/messages", app.address), user.clone());
        sending.spawn(async move {
            let client = client();
            for n in 0..each {
                let message = serde_json::json!({"from": user, "to": ROOM, "body": n.to_string()});
                let sent = client.post(&address).json(&message).send().await.unwrap();
                assert_eq!(sent.status(), 201);
            }
        });
    }
    while let Some(done) = sending.join_next().await {
        done.unwrap();
    }
}

/// Marks the room as read and unread at random until it is stopped.
async fn read_at_random(app: &TestApp, user: &str, seed: u64, stop: &AtomicBool) {
    let mut rng = Rng::new(seed);
    while !stop.load(Ordering::Relaxed) {
        let seq = 1 + rng.below(800) as u64;
        match rng.below(4) {
            0 => drop(app.read(user, ROOM).await),
            1 => drop(app.mark_unread(user, ROOM, seq).await),
            _ => drop(app.mark_read(user, ROOM, seq).await),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn counts_are_exact_after_many_senders_and_readers() {
    let app = spawn_app();
    let members = users(50);
    create_room(&mut app.redis(), "general", &members);
    let stop = Arc::new(AtomicBool::new(false));
    let reading = (0..20).map(|n| read_at_random(&app, &members[n], n as u64, &stop));
    let sending = async {
        send_from(&app, &members[42..], 100).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(sending, futures_util::future::join_all(reading));
    app.outboxes_are_empty().await;
    let page = app.page("user-49", ROOM, "limit=100&before=801").await;
    assert_eq!(page["last_seq"], 800);
    let seqs: Vec<_> = crate::harness::seqs(&page["history"]);
    assert_eq!(seqs, (701..=800).rev().collect::<Vec<_>>(), "without a gap");
    for member in &members {
        assert_exact(&app, member).await;
    }
}

/// Kills processes under load, each in the middle of a burst. Every member receives every message once, in order.
async fn kill_in_a_burst(url: &str, redis: &mut DirectConnection) {
    let dir = TempDir::new().unwrap();
    let settings = [("DUOLOGUE_REDIS_URL", url)];
    let staying = spawn_app_on(url);
    let members = users(12);
    create_room(redis, "general", &members);
    let mut cursors = Vec::new();
    for member in &members {
        cursors.push(place(&staying, member).await);
    }
    for round in 0..3 {
        let ending = ServiceProcess::start_with(dir.path(), &settings);
        let addresses = [&*ending.address, &*staying.address];
        let senders: Vec<_> = (0..3)
            .map(|n| LoadGenerator::start(&addresses, &format!("user-{}", 3 * round + n), ROOM))
            .collect();
        senders[0].wait_for_sent(15).await;
        ending.signal(Signal::KILL);
        senders[0].wait_for_sent(10).await;
        for sender in senders {
            sender.finish().await;
        }
    }
    let last = staying.peek("user-0", ROOM).await["last_seq"]
        .as_u64()
        .unwrap();
    assert!(last < 480, "{last}: more than a journal keeps");
    eventually("everything is filed", FILED, async || {
        let mut filed = true;
        for member in &members {
            let row = &staying.inbox(member, "").await["conversations"][0];
            filed &= row["last_seq"] == last;
        }
        filed
    })
    .await;
    for (member, after) in members.iter().zip(&cursors) {
        let events = polled(&staying, member, after, &[200]).await;
        assert_eq!(
            created(&events, after),
            (1..=last).collect::<Vec<_>>(),
            "{member}"
        );
        assert_exact(&staying, member).await;
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_event_of_a_room() {
    let redis = RedisServer::volatile();
    let url = redis.url();
    kill_in_a_burst(&url, &mut DirectConnection::to([&*url])).await;
}

#[tokio::test]
async fn a_killed_process_loses_no_event_of_a_room_on_a_cluster() {
    let cluster = RedisCluster::start();
    kill_in_a_burst(&cluster.url(), &mut cluster.connect()).await;
}

#[tokio::test]
async fn what_is_left_unfiled_is_filed_each_time() {
    const JSON: &str = r#""from":"user-0","to":"room:general","id":"0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47","sent_at":"2026-01-31T12:00:00.000Z","body":"x"}"#;
    let app = spawn_app();
    let mut redis = app.redis();
    create_room(&mut redis, "general", &users(2));
    for last in [2, 4] {
        // The second message finds the room in the outbox.
        for _ in 0..2 {
            send_in_room(&mut redis, "general", "user-0", JSON);
        }
        app.unread_becomes("user-1", last, FILED).await;
        app.outboxes_are_empty().await;
    }
}

#[tokio::test]
async fn who_was_away_for_many_messages_learns_of_all() {
    let app = spawn_app();
    let members = users(2);
    create_room(&mut app.redis(), "general", &members);
    app.send("user-0", ROOM, "before").await;
    app.outboxes_are_empty().await;
    let after = place(&app, "user-1").await;
    let senders = ["user-0", "user-0", "user-0"].map(str::to_owned);
    send_from(&app, &senders, 200).await;
    app.outboxes_are_empty().await;
    let events = polled(&app, "user-1", &after, &[200]).await;
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["peer"]),
        (&"conversation.changed".into(), &ROOM.into())
    );
    assert_eq!(
        (&last["last_seq"], &last["unread_count"]),
        (&601.into(), &601.into())
    );
}
