//! Read, delivered and unread marks.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::pubsub_listener::PubSubListener;
use crate::harness::{TestApp, seqs, spawn_app, store::lua};

/// A conversation of ten messages: every third one is bob's, the others alice's.
async fn exchange_messages(app: &TestApp) {
    for n in 1..=10 {
        let (from, to) = if n % 3 == 0 {
            ("bob", "alice")
        } else {
            ("alice", "bob")
        };
        app.send(from, to, &format!("{n}")).await;
    }
}

fn numbers<const N: usize>(state: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| state[name].as_u64().unwrap())
}

#[tokio::test]
async fn read_marks_only_move_forward_and_stop_at_the_last_seq() {
    let app = spawn_app();
    exchange_messages(&app).await;
    // Messages of alice: 1 2 4 5 7 8 10.
    let cases = [
        ("nothing", 0, 0, 7),
        ("the first", 1, 1, 6),
        ("one of one's own, which counts for nothing", 3, 3, 5),
        ("the same again", 3, 3, 5),
        ("one before it", 2, 3, 5),
        ("near the end", 9, 9, 1),
        ("past the end", 9007199254740991, 10, 0),
        ("back to the beginning", 0, 10, 0),
    ];
    for (reason, seq, read, unread) in cases {
        let state = app.mark_read("bob", "alice", seq).await;
        let found = numbers(&state, ["read_seq", "unread_count", "last_seq"]);
        assert_eq!(found, [read, unread, 10], "{reason}");
        let page = app.peek("bob", "alice").await;
        assert_eq!(page["unread_count"], unread, "{reason}");
        assert_eq!(page["unread"].as_array().unwrap().len() as u64, unread);
        assert_eq!(app.peek("alice", "bob").await["peer_read_seq"], read);
        assert_eq!(app.badge("bob").await, [unread, u64::from(unread > 0)]);
    }
    assert_eq!(app.peek("alice", "bob").await["unread_count"], 3);
}

#[tokio::test]
async fn a_read_mark_does_not_cover_later_messages() {
    let app = spawn_app();
    app.send("alice", "bob", "one").await;
    app.mark_read("bob", "alice", 1000).await;
    app.send("alice", "bob", "two").await;
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 1);
}

#[tokio::test]
async fn read_marks_count_exactly_at_both_ends_of_a_long_history() {
    let app = spawn_app();
    for _ in 0..4 {
        lua::fill(&mut app.redis(), "alice", "bob", 600);
        lua::fill(&mut app.redis(), "bob", "alice", 400);
    }
    app.delete("alice", "bob", 500).await.json(200);
    app.delete("alice", "bob", 3500).await.json(200);
    // 2,398 messages of alice are not deleted, in blocks of 600 at 1, 1001, 2001 and 3001.
    let cases = [
        (1, 2397),
        (500, 1899),
        (599, 1800),
        (1300, 1499),
        (3400, 199),
        (3600, 0),
    ];
    for (seq, unread) in cases {
        let state = app.mark_read("bob", "alice", seq).await;
        assert_eq!(state["unread_count"], unread, "{seq}");
    }
}

#[tokio::test]
async fn delivered_only_moves_forward_and_read_implies_delivered() {
    let app = spawn_app();
    exchange_messages(&app).await;
    let seen = async || {
        let inbox = app.inbox("alice", "").await;
        numbers(
            &inbox["conversations"][0],
            ["peer_delivered_seq", "peer_read_seq"],
        )
    };
    for (seq, delivered) in [(0, 0), (4, 4), (2, 4), (4, 4), (99, 10)] {
        app.mark_delivered("bob", "alice", seq).await;
        assert_eq!(seen().await, [delivered, 0], "{seq}");
    }
    assert_eq!(
        app.badge("bob").await,
        [7, 1],
        "delivered does not mean read"
    );
    app.send("alice", "bob", "eleven").await;
    assert_eq!(seen().await, [10, 0]);
    app.mark_read("bob", "alice", 11).await;
    assert_eq!(seen().await, [11, 11]);
    let state = app.mark_delivered("alice", "bob", 5).await;
    assert_eq!(
        numbers(&state, ["peer_delivered_seq", "last_seq"]),
        [11, 11]
    );
}

#[tokio::test]
async fn marking_unread_recounts_but_keeps_the_peers_receipt() {
    let app = spawn_app();
    exchange_messages(&app).await;
    app.read("bob", "alice").await;
    let cases = [
        ("past the end changes nothing", 11, 10, 0),
        ("the last", 10, 9, 1),
        ("what is unread already changes nothing", 10, 9, 1),
        ("further back", 6, 5, 3),
        ("not forward", 8, 5, 3),
        ("from the first", 1, 0, 7),
    ];
    for (reason, seq, read, unread) in cases {
        let state = app.mark_unread("bob", "alice", seq).await;
        let found = numbers(&state, ["read_seq", "unread_count"]);
        assert_eq!(found, [read, unread], "{reason}");
        assert_eq!(app.peek("bob", "alice").await["unread_count"], unread);
        assert_eq!(app.badge("bob").await[0], unread, "{reason}");
        let alice = app.inbox("alice", "").await["conversations"][0].clone();
        assert_eq!(
            numbers(&alice, ["peer_read_seq", "peer_delivered_seq"]),
            [10, 10],
            "{reason}"
        );
        assert_eq!(app.peek("alice", "bob").await["peer_read_seq"], 10);
    }
    app.mark_read("bob", "alice", 2).await;
    assert_eq!(app.peek("alice", "bob").await["peer_read_seq"], 10);
    app.send("alice", "bob", "eleven").await;
    app.read("bob", "alice").await;
    assert_eq!(app.peek("alice", "bob").await["peer_read_seq"], 11);
}

#[tokio::test]
async fn marking_unread_from_0_starts_at_the_first_message() {
    let app = spawn_app();
    exchange_messages(&app).await;
    app.read("bob", "alice").await;
    let state = app.mark_unread("bob", "alice", 0).await;
    assert_eq!(numbers(&state, ["read_seq", "unread_count"]), [0, 7]);
}

#[tokio::test]
async fn only_own_messages_after_a_seq_leave_nothing_to_mark() {
    let app = spawn_app();
    app.send("alice", "bob", "one").await;
    app.read("bob", "alice").await;
    app.send("bob", "alice", "two").await;
    app.read("bob", "alice").await;
    let state = app.mark_unread("bob", "alice", 2).await;
    assert_eq!(numbers(&state, ["read_seq", "unread_count"]), [1, 0]);
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn marking_unread_reaches_4000_messages_back() {
    let app = spawn_app();
    lua::fill(&mut app.redis(), "alice", "bob", 4_001);
    app.read("bob", "alice").await;
    let path = "/conversations/bob/alice/unread";
    let refused = app.ask(Method::POST, path, &json!({"seq": 1})).await;
    refused.problem(422, "TOO_FAR_BACK");
    refused.invalid_field("/seq");
    assert_eq!(app.badge("bob").await, [0, 0], "nothing was changed");
    let state = app.mark_unread("bob", "alice", 2).await;
    assert_eq!(state["unread_count"], 4_000);
}

#[tokio::test]
async fn marks_in_an_empty_conversation_store_nothing() {
    let app = spawn_app();
    let empty = json!({
        "peer": "alice", "last_message": null, "unread_count": 0, "last_seq": 0, "read_seq": 0,
        "peer_read_seq": 0, "peer_delivered_seq": 0, "muted": false, "muted_until": null, "blocked": false,
        "archived": false, "pinned": false, "metadata": null,
        "updated_at": null,
    });
    assert_eq!(app.mark_read("bob", "alice", 5).await, empty);
    assert_eq!(app.mark_delivered("bob", "alice", 5).await, empty);
    assert_eq!(app.mark_unread("bob", "alice", 5).await, empty);
    assert_eq!(app.clear("bob", "alice").await, empty);
    let stored = app.contents().len();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn the_unread_count_matches_the_unread_list_after_a_mark() {
    let app = spawn_app();
    exchange_messages(&app).await;
    app.read("bob", "alice").await;
    app.mark_unread("bob", "alice", 5).await;
    let told = app.read("bob", "alice").await;
    assert_eq!(seqs(&told["unread"]), [10, 8, 7, 5]);
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 0);
}

#[tokio::test]
async fn an_invalid_mark_is_refused_and_names_the_field() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let cases = [
        ("no place", json!({}), "/seq"),
        ("a seq in words", json!({"seq": "1"}), "/seq"),
        ("a negative seq", json!({"seq": -1}), "/seq"),
        ("half a place", json!({"seq": 0.5}), "/seq"),
        (
            "a seq above the maximum",
            json!({"seq": 1_u64 << 53}),
            "/seq",
        ),
        ("an unknown field", json!({"seq": 1, "at": 2}), "/at"),
    ];
    for (method, what) in [
        (Method::PUT, "read"),
        (Method::PUT, "delivered"),
        (Method::POST, "unread"),
    ] {
        let path = format!("/conversations/bob/alice/{what}");
        for (reason, body, pointer) in &cases {
            let answer = app.ask(method.clone(), &path, body).await;
            assert_eq!(answer.status, 400, "{what}, {reason}: {answer:?}");
            answer.invalid_field(pointer);
        }
    }
    assert_eq!(app.badge("bob").await, [1, 1]);
}

#[tokio::test]
async fn clearing_a_conversation_sends_no_read_receipt() {
    let app = spawn_app();
    for body in ["one", "two", "three"] {
        app.send("alice", "bob", body).await;
    }
    app.mark_read("bob", "alice", 1).await;
    let mut alice = PubSubListener::subscribe(&app.redis_url, "alice");
    app.clear("bob", "alice").await;
    // Neither does reading dropped messages.
    app.read("bob", "alice").await;
    app.mark_read("bob", "alice", 3).await;
    assert_eq!(alice.drain_events(), [] as [Value; 0]);
    let seen = async || app.peek("alice", "bob").await["peer_read_seq"].clone();
    assert_eq!(seen().await, 1);
    assert_eq!(app.badge("bob").await, [0, 0]);
    app.send("alice", "bob", "four").await;
    app.read("bob", "alice").await;
    assert_eq!(seen().await, 4);
}

#[tokio::test]
async fn a_private_read_marks_as_read_without_telling_the_peer() {
    let app = spawn_app();
    for _ in 0..5 {
        app.send("alice", "bob", "hi").await;
    }
    let read = async |seq: u64, private: Value| {
        let body = json!({"seq": seq, "private": private});
        app.ask(Method::PUT, "/conversations/bob/alice/read", &body)
            .await
    };
    let seen = async || {
        let page = app.peek("alice", "bob").await;
        numbers(&page, ["peer_read_seq", "peer_delivered_seq"])
    };
    let mut alice = PubSubListener::subscribe(&app.redis_url, "alice");
    let mut bob = PubSubListener::subscribe(&app.redis_url, "bob");
    let state = read(3, json!(true)).await.json(200);
    assert_eq!(numbers(&state, ["read_seq", "unread_count"]), [3, 2]);
    assert_eq!(app.badge("bob").await, [2, 1]);
    assert_eq!(alice.drain_events(), [] as [Value; 0]);
    let told = bob.drain_events();
    assert_eq!(told[0]["type"], "conversation.read", "the user's devices");
    assert_eq!(seen().await, [0, 0]);
    // Absent, null and false tell the peer, also of what was read privately.
    read(3, json!(null)).await.json(200);
    assert_eq!(seen().await, [3, 3]);
    read(4, json!(true)).await.json(200);
    read(5, json!(false)).await.json(200);
    assert_eq!(seen().await, [5, 5]);
    for wrong in [json!(1), json!("true"), json!([])] {
        let refused = read(5, wrong).await.problem(400, "INVALID_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], "/private");
    }
}
