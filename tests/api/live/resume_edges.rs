//! Edge cases of resuming: the start of the journal, page boundaries, and no journal.

use std::time::{Duration, Instant};

use duologue::store::Keys;
use redis::cmd;
use reqwest::Method;
use serde_json::json;

use crate::harness::http::raw_connection::{pipeline, post};
use crate::harness::live::client_state::ClientState;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::{Device, TIMEOUT};
use crate::harness::live::replica::Replica;
use crate::harness::live::resume::{bodies, cursor, fill, kinds, page, place, polled, resumed};
use crate::harness::{TestApp, spawn_app};

/// The number of events kept, and the length at which a journal is trimmed to it.
const JOURNAL: usize = 512;
const TRIM_AT: usize = 576;
/// An epoch that no stream of this store has.
const UNKNOWN_CURSOR: &str = "1000000000000000-1000000000000000";

#[tokio::test]
async fn resuming_is_exact_within_the_journal() {
    let app = spawn_app();
    let begin = place(&app, "bob").await;
    // With its start entry, the journal is one entry short of being trimmed.
    fill(&app, "alice", "bob", 0..TRIM_AT - 2);
    let all = polled(&app, "bob", &begin, &[1, 2, 3, 7, 50, 199, 200]).await;
    let expected: Vec<_> = (0..TRIM_AT - 2).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&all), expected);
    assert_eq!(all[0]["prev"], json!(begin));
    for (event, next) in all.iter().zip(&all[1..]) {
        assert_eq!(event["cursor"], next["prev"]);
    }
    // One more event trims the journal. A client that has seen everything before the kept events
    // misses nothing: its own entry is dropped but still known as the `prev` of the first event.
    fill(&app, "alice", "bob", TRIM_AT - 2..TRIM_AT - 1);
    let dropped = TRIM_AT - 1 - JOURNAL;
    let seen = cursor(&all[dropped - 1]);
    let exact = polled(&app, "bob", &seen, &[200]).await;
    assert_eq!(exact.len(), JOURNAL);
    assert_eq!(exact[..JOURNAL - 1], all[dropped..]);
    let coarse = polled(&app, "bob", &cursor(&all[dropped - 2]), &[200]).await;
    assert_eq!(kinds(&coarse), ["conversation.changed"]);
    assert_eq!(coarse[0]["cursor"], exact[JOURNAL - 1]["cursor"]);
    assert_eq!(coarse[0]["unread_count"], TRIM_AT - 1);
    // The same on each transport.
    let exact = resumed(&app, "bob", &seen).await;
    assert_eq!(exact.len(), JOURNAL);
    let coarse = resumed(&app, "bob", &begin).await;
    let changed = |kind: &&str| *kind == "conversation.changed";
    assert!(kinds(&coarse).iter().all(changed));
}

#[tokio::test]
async fn every_page_size_yields_the_same_events() {
    let app = spawn_app();
    let begin = place(&app, "bob").await;
    fill(&app, "alice", "bob", 0..201);
    let all = polled(&app, "bob", &begin, &[200]).await;
    assert_eq!(all.len(), 201);
    for limit in 1..=200 {
        let page = page(&app, "bob", &begin, limit).await;
        assert_eq!(page["events"].as_array().unwrap()[..], all[..limit]);
        assert_eq!(page["next_cursor"], all[limit - 1]["cursor"]);
    }
    for limits in [&[1][..], &[3, 1, 4, 1, 5, 9, 2, 6], &[199, 2]] {
        assert_eq!(polled(&app, "bob", &begin, limits).await, all);
    }
}

#[tokio::test]
async fn large_messages_shorten_a_page_and_none_is_lost() {
    let app = spawn_app();
    let begin = place(&app, "bob").await;
    let body = "語".repeat(8_000);
    let message = post(json!({"from": "alice", "to": "bob", "body": body}).to_string());
    for answer in pipeline(&app.address, &vec![message; 40]) {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let first = page(&app, "bob", &begin, 200).await;
    let some = first["events"].as_array().unwrap().len();
    assert!((2..40).contains(&some), "some 256 KiB at once: {some}");
    let all = resumed(&app, "bob", &begin).await;
    let seqs: Vec<_> = all.iter().map(|event| &event["last_seq"]).collect();
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
    assert!(bodies(&all).iter().all(|told| *told == body));
}

#[tokio::test]
async fn an_unknown_cursor_gets_a_reset() {
    let app = spawn_app();
    let carol = place(&app, "carol").await;
    let begin = place(&app, "bob").await;
    app.send("alice", "bob", "hi").await;
    let head = cursor(&resumed(&app, "bob", &begin).await[0]);
    let (epoch, offset) = head.split_once('-').unwrap();
    let future = format!("{epoch}-{}", offset.parse::<u64>().unwrap() + 60_000_000);
    let last = format!("{epoch}-9999999999999999");
    for unknown in [
        UNKNOWN_CURSOR,
        "0-0",
        "9999999999999999-0",
        &carol,
        &future,
        &last,
    ] {
        let told = resumed(&app, "bob", unknown).await;
        assert_eq!(kinds(&told), ["reset"], "{unknown}");
        assert!(told[0]["total_unread_count"].as_u64() > Some(0));
        let members: Vec<_> = told[0].as_object().unwrap().keys().collect();
        let expected = [
            "type",
            "cursor",
            "total_unread_count",
            "unread_conversations",
            "muted_unread_count",
        ];
        assert_eq!(members, expected);
    }
    // A user without any data gets a reset too.
    let told = resumed(&app, "dave", UNKNOWN_CURSOR).await;
    assert_eq!(kinds(&told), ["reset"]);
}

#[tokio::test]
async fn a_user_erased_while_connected_gets_a_reset() {
    let app = spawn_app();
    let mut replica = Replica::open(ConnectOptions::new(&app.address), "bob").await;
    for peer in ["alice", "carol"] {
        app.send(peer, "bob", "before").await;
        app.send("bob", peer, "me too").await;
    }
    replica.catch_up().await;
    let before = replica.cursor.clone();
    let erased = app.request(Method::DELETE, "/users/bob").await.json(200);
    assert_eq!(erased["done"], true);
    // A connected client is told at once.
    let begun = Instant::now();
    while !replica.event_counts.contains_key("reset") {
        replica.follow(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < TIMEOUT, "not told");
    }
    replica.assert_matches_service().await;
    assert_eq!(replica.state, ClientState::default());
    // It continues with the next stream without reconnecting.
    app.send("alice", "bob", "after").await;
    while replica.state.rows.is_empty() {
        replica.follow(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < TIMEOUT, "told nothing");
    }
    replica.assert_matches_service().await;
    let told = resumed(&app, "bob", &before).await;
    assert_eq!(kinds(&told), ["reset"]);
}

#[tokio::test]
async fn an_expired_journal_is_replaced_by_conversation_changed() {
    let app = spawn_app();
    let begin = place(&app, "bob").await;
    app.send("alice", "bob", "one").await;
    let second = cursor(&polled(&app, "bob", &begin, &[200]).await[0]);
    app.send("carol", "bob", "two").await;
    app.send("carol", "bob", "three").await;
    let mut device = Device::connect(&app, "bob").await;
    let expire = |app: &TestApp| {
        let gone: u64 = cmd("DEL")
            .arg(Keys::new().events("bob"))
            .query(&mut app.redis())
            .unwrap();
        assert_eq!(gone, 1);
    };
    expire(&app);
    let told = polled(&app, "bob", &begin, &[1]).await;
    let told: Vec<_> = told.iter().map(|event| &event["peer"]).collect();
    assert_eq!(
        told,
        ["alice", "carol"],
        "in the order of their last change"
    );
    expire(&app);
    let told = resumed(&app, "bob", &second).await;
    assert_eq!(kinds(&told), ["conversation.changed"]);
    assert_eq!(
        (&told[0]["peer"], &told[0]["last_seq"]),
        (&json!("carol"), &json!(2))
    );
    // A client that stayed connected has received the lost events although no journal has them.
    let live = device.next().await;
    assert_eq!(
        (&live["peer"], &live["prev"]),
        (&json!("resumed"), &device.hello["cursor"])
    );
}

#[tokio::test]
async fn a_store_that_lost_its_last_writes_causes_a_reset() {
    let app = spawn_app();
    let begin = place(&app, "bob").await;
    app.send("alice", "bob", "kept").await;
    let kept = cursor(&polled(&app, "bob", &begin, &[200]).await[0]);
    let copy = |from: String, to: String| {
        let mut copy = cmd("COPY");
        copy.arg(from).arg(to).arg("REPLACE");
        copy.exec(&mut app.redis()).unwrap();
    };
    let names = Keys::new();
    let of_bob = [names.conversations("bob"), names.events("bob")];
    for key in &of_bob {
        copy(key.clone(), format!("{key}:kept"));
    }
    app.send("carol", "bob", "lost").await;
    let lost = cursor(&polled(&app, "bob", &kept, &[200]).await[0]);
    // Simulates a failover to a replica that missed the writes.
    for key in &of_bob {
        copy(format!("{key}:kept"), key.clone());
    }
    let told = polled(&app, "bob", &lost, &[200]).await;
    assert_eq!(kinds(&told), ["reset"]);
    // The clock is past the cursor by the next message; the cursor is still recognized as unknown.
    app.send("alice", "bob", "new").await;
    assert_eq!(kinds(&polled(&app, "bob", &lost, &[200]).await), ["reset"]);
    let exact = polled(&app, "bob", &kept, &[200]).await;
    assert_eq!(bodies(&exact), ["new"]);
    assert_eq!(kinds(&resumed(&app, "bob", &lost).await), ["reset"]);
}
