//! `GET /conversations/{user}/{peer}`.

use serde_json::{Value, json};

use crate::harness::{TestApp, seqs, spawn_app, store::lua};

/// Sends this many messages from alice to bob.
async fn exchange_messages(app: &TestApp, count: usize) {
    for n in 1..=count {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
}

fn fill(app: &TestApp, from: &str, to: &str, count: usize) {
    lua::fill(&mut app.redis(), from, to, count);
}

#[tokio::test]
async fn a_conversation_without_messages_is_an_empty_page() {
    let app = spawn_app();
    let empty = json!({
        "user": "bob", "peer": "alice", "history": [], "unread_count": 0, "unread": [],
        "last_seq": 0, "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0,
        "muted": false, "blocked": false, "next_before": null, "next_after": null,
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
    let stored: u64 = redis::cmd("DBSIZE").query(&mut app.redis()).unwrap();
    assert_eq!(stored, 1, "reading nothing stores nothing");
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
        "the peer's count is the peer's"
    );
    assert_eq!(alice["peer_read_seq"], 3, "and sees how far bob has read");
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
async fn pages_hold_exactly_limit_messages() {
    let app = spawn_app();
    exchange_messages(&app, 10).await;
    let none = Value::Null;
    let cases = [
        ("limit=3", vec![10, 9, 8], json!(8), none.clone()),
        (
            "limit=10",
            (1..=10).rev().collect(),
            none.clone(),
            none.clone(),
        ),
        ("limit=9", (2..=10).rev().collect(), json!(2), none.clone()),
        ("before=8&limit=3", vec![7, 6, 5], json!(5), json!(7)),
        ("before=4&limit=3", vec![3, 2, 1], none.clone(), json!(3)),
        ("before=2", vec![1], none.clone(), json!(1)),
        ("before=11&limit=1", vec![10], json!(10), none.clone()),
        (
            "before=9007199254740991&limit=1",
            vec![10],
            json!(10),
            none.clone(),
        ),
        ("after=0&limit=3", vec![3, 2, 1], none.clone(), json!(3)),
        ("after=3&limit=3", vec![6, 5, 4], json!(4), json!(6)),
        ("after=7&limit=3", vec![10, 9, 8], json!(8), none.clone()),
        ("after=9", vec![10], json!(10), none.clone()),
        ("after=10", vec![], none.clone(), none.clone()),
        ("after=9007199254740991", vec![], none.clone(), none.clone()),
        ("around=5&limit=3", vec![6, 5, 4], json!(4), json!(6)),
        ("around=5&limit=4", vec![6, 5, 4, 3], json!(3), json!(6)),
        ("around=5&limit=1", vec![5], json!(5), json!(5)),
        ("around=1&limit=5", vec![3, 2, 1], none.clone(), json!(3)),
        ("around=10&limit=5", vec![10, 9, 8], json!(8), none.clone()),
        ("around=0&limit=4", vec![1], none.clone(), json!(1)),
        ("around=12&limit=5", vec![10], json!(10), none.clone()),
        (
            "around=9007199254740991",
            vec![],
            none.clone(),
            none.clone(),
        ),
        ("before=1", vec![], none.clone(), none.clone()),
        ("before=0", vec![], none.clone(), none.clone()),
    ];
    for (query, expected, next_before, next_after) in cases {
        let page = app.page("bob", "alice", query).await;
        assert_eq!(seqs(&page["history"]), expected, "{query}");
        assert_eq!(page["next_before"], next_before, "{query}");
        assert_eq!(page["next_after"], next_after, "{query}");
        assert_eq!(page["last_seq"], 10, "{query}");
    }
}

#[tokio::test]
async fn cursors_page_through_all_messages_in_both_directions() {
    let app = spawn_app();
    fill(&app, "alice", "bob", 250);
    for (first, parameter, cursor) in [
        ("limit=100", "before", "next_before"),
        ("limit=100&after=0", "after", "next_after"),
    ] {
        let mut page = app.page("bob", "alice", first).await;
        let mut found = seqs(&page["history"]);
        while let Some(next) = page[cursor].as_u64() {
            page = app
                .page("bob", "alice", &format!("limit=100&{parameter}={next}"))
                .await;
            found.extend(seqs(&page["history"]));
        }
        found.sort_unstable();
        assert_eq!(found, (1..=250).collect::<Vec<u64>>(), "{parameter}");
    }
}

#[tokio::test]
async fn a_page_holds_fifty_messages_by_default() {
    let app = spawn_app();
    fill(&app, "alice", "bob", 201);
    for (query, expected) in [("", 50), ("limit=1", 1), ("limit=200", 200)] {
        let page = app.page("bob", "alice", query).await;
        assert_eq!(page["history"].as_array().unwrap().len(), expected);
    }
}

#[tokio::test]
async fn reading_an_old_page_also_marks_everything_as_read() {
    let app = spawn_app();
    exchange_messages(&app, 5).await;
    let old = app.page("bob", "alice", "before=2").await;
    assert_eq!(seqs(&old["history"]), [1]);
    assert_eq!(seqs(&old["unread"]), [5, 4, 3, 2, 1]);
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 0);
}

#[tokio::test]
async fn unread_count_is_exact_beyond_the_500_returned_messages() {
    let app = spawn_app();
    fill(&app, "alice", "bob", 777);
    let page = app.page("bob", "alice", "limit=1").await;
    assert_eq!(page["unread_count"], 777);
    assert_eq!(
        seqs(&page["unread"]),
        (278..=777).rev().collect::<Vec<u64>>()
    );
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

#[tokio::test]
async fn an_invalid_query_is_refused_and_names_the_field() {
    let app = spawn_app();
    app.send("alice", "bob", "still unread afterwards").await;
    let cases = [
        ("a limit below the least", "limit=0", "/query/limit"),
        ("a limit above the most", "limit=201", "/query/limit"),
        (
            "a limit that wraps around in 8 bits",
            "limit=257",
            "/query/limit",
        ),
        ("a limit that is negative", "limit=-1", "/query/limit"),
        ("a limit in words", "limit=ten", "/query/limit"),
        ("a limit that is empty", "limit=", "/query/limit"),
        (
            "a place past all places",
            "before=9007199254740992",
            "/query/before",
        ),
        (
            "a place past 64 bits",
            "after=18446744073709551616",
            "/query/after",
        ),
        ("a place in words", "after=last", "/query/after"),
        ("both directions", "before=5&after=1", "/query/after"),
        (
            "a place and its surroundings",
            "before=5&around=1",
            "/query/around",
        ),
        (
            "surroundings and a direction",
            "after=5&around=1",
            "/query/after",
        ),
        ("surroundings of nothing", "around=", "/query/around"),
        ("a peek that is neither", "peek=yes", "/query/peek"),
        ("an unknown parameter", "since=1", "/query/since"),
        ("a parameter given twice", "limit=1&limit=2", "/query/limit"),
    ];
    for (reason, query, pointer) in cases {
        let answer = app.get(&format!("/conversations/bob/alice?{query}")).await;
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field(pointer);
    }
    assert_eq!(app.peek("bob", "alice").await["unread_count"], 1);
}
