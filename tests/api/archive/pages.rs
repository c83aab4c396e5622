//! Pages and messages across the border of the archive are those of a service without one.

use serde_json::json;

use super::twins::Twins;
use crate::harness::archive::pair;
use crate::harness::metrics::metric;

const ALICE: &str = "/conversations/alice/bob";

#[tokio::test]
async fn pages_across_the_border_are_the_same() {
    let twins = Twins::with_messages(33).await;
    for place in [0, 1, 2, 5, 6, 19, 20, 21, 22, 32, 33, 34, 99] {
        for limit in [1, 2, 7, 50] {
            for range in ["before", "after", "around"] {
                if place == 0 && range != "after" {
                    continue;
                }
                let path = format!("{ALICE}?{range}={place}&limit={limit}");
                twins.same_get(&path).await;
            }
        }
        twins
            .same_get(&format!("{ALICE}/messages/{}", place.max(1)))
            .await;
    }
}

#[tokio::test]
async fn the_newest_page_marks_read_what_it_shows() {
    let twins = Twins::with_messages(33).await;
    let page = twins
        .same_get("/conversations/bob/alice?limit=50&unread_limit=0")
        .await;
    assert_eq!(page["history"].as_array().unwrap().len(), 33);
    twins.same_get("/conversations/bob/alice?limit=0").await;
    let inbox = twins.same_get("/conversations/alice").await;
    assert_eq!(inbox["conversations"][0]["peer_read_seq"], 33);
}

#[tokio::test]
async fn pages_of_long_messages_end_where_they_end_without_it() {
    let twins = Twins::spawn();
    let long = ["x".repeat(2000), "x".repeat(4000), "x".repeat(8000)];
    twins
        .send(90, |seq| {
            format!("{seq} {}", long[usize::try_from(seq % 3).unwrap()])
        })
        .await;
    for query in [
        "before=91",
        "before=85",
        "before=40",
        "after=0",
        "after=30",
        "after=75",
        "around=45",
        "around=80",
        "around=83",
        "around=2",
    ] {
        let path = format!("{ALICE}?{query}&limit=200");
        let page = twins.same_get(&path).await;
        assert!(page["history"].as_array().unwrap().len() > 2, "{query}");
    }
}

#[tokio::test]
async fn a_page_reads_only_the_objects_that_fit_into_it() {
    let twins = Twins::spawn();
    let long = "x".repeat(60_000);
    twins.send(40, |seq| format!("{seq} {long}")).await;
    for query in ["before=25", "after=5", "around=13"] {
        let read = async || metric(&twins.archived, "duologue_archive_fetches_total").await;
        let before = read().await;
        let page = twins.same_get(&format!("{ALICE}?{query}&limit=200")).await;
        assert!(page["history"].as_array().unwrap().len() < 10, "{query}");
        let objects = read().await - before;
        assert!(objects < 2.5, "{query}: {objects} objects");
    }
}

#[tokio::test]
async fn a_page_around_a_time_is_found_in_the_archive() {
    let twins = Twins::spawn();
    let lines: Vec<_> = (1..=33)
        .map(|n| {
            let sent_at = format!("2026-01-31T12:{n:02}:00.000Z");
            json!({"from": "alice", "to": "bob", "body": format!("message {n}"), "sent_at": sent_at}).to_string()
        })
        .collect();
    let headers = [("content-type", "application/x-ndjson")];
    for app in [&twins.plain, &twins.archived.app] {
        let imported = app.call_text("POST", "/messages/batch", &headers, lines.join("\n"));
        assert_eq!(imported.await.json(200)["imported"], 33);
    }
    twins.archived.archive(&pair("alice", "bob")).await;
    for minute in [0, 1, 2, 5, 6, 7, 19, 20, 21, 22, 33, 34] {
        for second in ["00", "30"] {
            let time = format!("2026-01-31T12:{minute:02}:{second}Z");
            let page = twins
                .same_get(&format!("{ALICE}?around_time={time}&limit=4"))
                .await;
            assert!(!page["history"].as_array().unwrap().is_empty(), "{time}");
        }
    }
}

#[tokio::test]
async fn cleared_messages_stay_hidden_in_the_archive() {
    let twins = Twins::with_messages(18).await;
    twins.same("DELETE", ALICE, &[], None).await;
    twins.send(15, |seq| format!("later {seq}")).await;
    for query in [
        "before=99",
        "after=0",
        "around=3",
        "before=20&limit=3",
        "around_time=2020-01-01T00:00:00Z",
    ] {
        twins.same_get(&format!("{ALICE}?{query}")).await;
        twins
            .same_get(&format!("/conversations/bob/alice?{query}"))
            .await;
    }
    for seq in [1, 18, 19, 20] {
        twins
            .same("GET", &format!("{ALICE}/messages/{seq}"), &[], None)
            .await;
    }
}

#[tokio::test]
async fn exports_have_the_archive() {
    let twins = Twins::with_messages(33).await;
    let lines = |text: &str| text.lines().count();
    let [plain, archived] =
        [&twins.plain, &twins.archived.app].map(|app| app.get("/users/alice/export"));
    let (plain, archived) = (plain.await.text, archived.await.text);
    assert_eq!(lines(&archived), lines(&plain));
    for seq in 1..=33 {
        assert!(
            archived.contains(&format!("\"body\":\"message {seq}\"")),
            "{seq}"
        );
    }
}

#[tokio::test]
async fn receipts_count_messages_of_the_archive() {
    let twins = Twins::with_messages(33).await;
    let bob = "/conversations/bob/alice";
    for seq in [4, 9, 12, 19, 22] {
        let body = json!({"seq": seq});
        let state = twins
            .same("PUT", &format!("{bob}/read"), &[], Some(&body))
            .await;
        assert!(state.json(200)["unread_count"].as_u64().unwrap() > 0);
    }
    for seq in [30, 21, 20, 7, 1] {
        let body = json!({"seq": seq});
        twins
            .same("POST", &format!("{bob}/unread"), &[], Some(&body))
            .await;
        twins.same_get("/conversations/bob").await;
    }
}

#[tokio::test]
async fn rooms_are_the_same_across_the_border() {
    let twins = Twins::spawn();
    for app in [&twins.plain, &twins.archived.app] {
        app.open_room("general", &["alice", "bob"]).await;
    }
    for seq in 1..=33 {
        let message =
            json!({"from": "alice", "to": "room:general", "body": format!("message {seq}")});
        twins.same("POST", "/messages", &[], Some(&message)).await;
    }
    twins.archived.archive("room:general").await;
    let room = "/conversations/bob/room:general";
    for query in [
        "before=25",
        "before=12&limit=3",
        "after=0",
        "after=18&limit=5",
        "around=20&limit=8",
        "",
    ] {
        twins
            .same_get(&format!("{room}?{query}&unread_limit=0"))
            .await;
    }
    twins.same_get(&format!("{room}/messages/3")).await;
    let body = json!({"seq": 7});
    twins
        .same("POST", &format!("{room}/unread"), &[], Some(&body))
        .await;
}
