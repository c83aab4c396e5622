//! `GET /conversations/{user}/{peer}`: what it returns, and what it marks as read.

use serde_json::json;

use crate::harness::{TestApp, seqs, spawn_app, store::lua};

/// Sends this many messages from alice to bob.
pub async fn exchange_messages(app: &TestApp, count: usize) {
    for n in 1..=count {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
}

pub fn fill(app: &TestApp, from: &str, to: &str, count: usize) {
    lua::fill(&mut app.redis(), from, to, count);
}

#[tokio::test]
async fn a_conversation_without_messages_is_an_empty_page() {
    let app = spawn_app();
    let empty = json!({
        "user": "bob", "peer": "alice", "history": [], "unread_count": 0, "unread": [],
        "last_seq": 0, "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0,
        "muted": false, "muted_until": null, "blocked": false,
        "archived": false, "pinned": false, "metadata": null,
        "next_before": null, "next_after": null,
    });
    for query in [
        "",
        "peek=true",
        "before=7",
        "after=7",
        "around=7",
        "limit=200&before=0",
        "after=0",
    ] {
        assert_eq!(app.page("bob", "alice", query).await, empty, "{query}");
    }
    let stored = app.contents().len();
    assert_eq!(stored, 1, "reading an empty conversation stores nothing");
}

#[tokio::test]
async fn reading_returns_history_and_unread_and_resets_the_count() {
    let app = spawn_app();
    let one = app.send("alice", "bob", "one").await;
    let two = app.send("bob", "alice", "two").await;
    let three = app.send("alice", "bob", "three").await;
    let first = app.read("bob", "alice").await;
    assert_eq!(first["history"], json!([three, two, one]));
    assert_eq!(first["unread_count"], 2);
    assert_eq!(first["unread"], json!([three, one]));
    assert_eq!(
        (&first["last_seq"], &first["peer_read_seq"]),
        (&json!(3), &json!(0))
    );
    let second = app.read("bob", "alice").await;
    assert_eq!(
        (&second["unread_count"], &second["unread"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(second["history"], first["history"]);
    let alice = app.read("alice", "bob").await;
    assert_eq!(
        alice["unread"],
        json!([two]),
        "each user has their own count"
    );
    assert_eq!(alice["peer_read_seq"], 3, "the read receipt of bob");
}

#[tokio::test]
async fn reading_is_not_cached() {
    let app = spawn_app();
    let answer = app.get("/conversations/bob/alice").await;
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn peeking_resets_nothing_and_publishes_nothing() {
    let app = spawn_app();
    exchange_messages(&app, 2).await;
    let peeked = app.peek("bob", "alice").await;
    assert_eq!(app.peek("bob", "alice").await, peeked);
    assert_eq!(app.peek("alice", "bob").await["peer_read_seq"], 0);
    assert_eq!(app.page("bob", "alice", "peek=false").await, peeked);
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 0);
}

#[tokio::test]
async fn only_the_newest_page_marks_as_read_unless_peek_says_so() {
    let app = spawn_app();
    exchange_messages(&app, 5).await;
    let time = "around_time=2026-01-31T00:00:00Z";
    let state = "limit=0&unread_limit=0";
    for query in [
        "before=2",
        "after=0",
        "around=3",
        time,
        state,
        "limit=0",
        "peek=true",
    ] {
        let page = app.page("bob", "alice", query).await;
        assert_eq!(page["unread_count"], 5, "{query}");
        let inbox = app.inbox("bob", "").await;
        assert_eq!(inbox["conversations"][0]["unread_count"], 5, "{query}");
    }
    for (query, left) in [("before=2", 0), ("after=5", 0), ("limit=0", 0), (time, 0)] {
        app.mark_unread("bob", "alice", 1).await;
        let page = app
            .page("bob", "alice", &format!("{query}&peek=false"))
            .await;
        assert_eq!(page["unread_count"], 5, "{query}");
        assert_eq!(app.badge("bob").await[0], left, "{query}");
    }
    app.mark_unread("bob", "alice", 1).await;
    app.page("bob", "alice", "limit=1").await;
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn unread_messages_are_found_behind_many_own_messages() {
    let app = spawn_app();
    exchange_messages(&app, 3).await;
    fill(&app, "bob", "alice", 300);
    exchange_messages(&app, 1).await;
    fill(&app, "bob", "alice", 17);
    let page = app.page("bob", "alice", "limit=1").await;
    assert_eq!(page["unread_count"], 4);
    assert_eq!(seqs(&page["unread"]), [304, 3, 2, 1]);
}

#[tokio::test]
async fn unread_messages_are_searched_4000_messages_back() {
    let app = spawn_app();
    exchange_messages(&app, 1).await;
    fill(&app, "bob", "alice", 3_999);
    assert_eq!(seqs(&app.peek("bob", "alice").await["unread"]), [1]);
    fill(&app, "bob", "alice", 1);
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["unread_count"], &page["unread"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 0);
}

#[tokio::test]
async fn a_body_that_imitates_a_sender_is_not_misread() {
    let app = spawn_app();
    let lies = r#"","from":"bob","to":"alice"#;
    let lie = json!({
        "from": "alice", "to": "bob", "body": lies,
        "metadata": {"from": "bob", r#"{"seq":1,"id":"x","from":"bob""#: lies},
    });
    let sent = app.post(&lie).await.json(201);
    let seen = app.read("bob", "alice").await;
    assert_eq!(
        (&seen["unread_count"], &seen["unread"]),
        (&json!(1), &json!([sent]))
    );
    let alice = app.read("alice", "bob").await;
    assert_eq!(
        (&alice["unread_count"], &alice["unread"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn users_with_similar_ids_are_kept_apart() {
    let app = spawn_app();
    app.send("a.b", "c", "to c").await;
    for (user, peer) in [
        ("a-b", "c"),
        ("A.b", "c"),
        ("a", "b.c"),
        ("a.", "b"),
        ("c", "a%2Db"),
    ] {
        assert_eq!(app.read(user, peer).await["last_seq"], 0, "{user} {peer}");
    }
    assert_eq!(app.read("c", "a.b").await["unread_count"], 1);
}

#[tokio::test]
async fn conversations_with_different_people_do_not_mix() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    app.send("carol", "bob", "hi").await;
    app.read("bob", "alice").await;
    assert_eq!(app.read("bob", "carol").await["unread_count"], 1);
    assert_eq!(app.read("alice", "carol").await["last_seq"], 0);
}
