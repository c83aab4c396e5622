//! `GET /conversations/{user}` and `GET /users/{user}/unread`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, spawn_app, store::lua};

/// The peers of a page of an inbox, in order.
pub fn peers(page: &Value) -> Vec<&str> {
    let rows = page["conversations"].as_array().unwrap();
    rows.iter()
        .map(|row| row["peer"].as_str().unwrap())
        .collect()
}

/// The row of a peer.
async fn row(app: &TestApp, user: &str, peer: &str) -> Value {
    let inbox = app.inbox(user, "limit=200").await;
    let rows = inbox["conversations"].as_array().unwrap();
    rows.iter().find(|row| row["peer"] == peer).unwrap().clone()
}

/// Creates conversations of a user with peer-1 to peer-`count`, in this order.
pub fn create_conversations(app: &TestApp, user: &str, count: usize) {
    let mut redis = app.redis();
    for n in 1..=count {
        lua::fill(&mut redis, &format!("peer-{n}"), user, 1);
    }
}

#[tokio::test]
async fn an_empty_inbox_is_an_empty_page() {
    let app = spawn_app();
    let empty = json!({
        "conversations": [], "total_unread_count": 0, "unread_conversations": 0, "muted_unread_count": 0,
        "next_cursor": null,
    });
    assert_eq!(app.inbox("bob", "").await, empty);
    assert_eq!(
        app.inbox("bob", "cursor=1-YQ&unread_only=true").await,
        empty
    );
    assert_eq!(app.badge("bob").await, [0, 0]);
    let stored = app.contents().len();
    assert_eq!(stored, 1, "listing nothing stores nothing");
}

#[tokio::test]
async fn a_row_holds_the_whole_state_of_a_conversation() {
    let app = spawn_app();
    app.send("alice", "bob", "one").await;
    let last = app.send("alice", "bob", "two").await;
    app.mark_delivered("bob", "alice", 2).await;
    app.mark_read("bob", "alice", 1).await;
    let of_bob = json!({
        "peer": "alice", "last_message": last, "unread_count": 1, "last_seq": 2, "read_seq": 1,
        "peer_read_seq": 0, "peer_delivered_seq": 0, "muted": false, "muted_until": null, "blocked": false,
        "archived": false, "pinned": false, "metadata": null,
        "updated_at": last["sent_at"],
    });
    let inbox = app.inbox("bob", "").await;
    let expected = json!({
        "conversations": [of_bob], "total_unread_count": 1, "unread_conversations": 1, "muted_unread_count": 0,
        "next_cursor": null,
    });
    assert_eq!(inbox, expected);
    let of_alice = json!({
        "peer": "bob", "last_message": last, "unread_count": 0, "last_seq": 2, "read_seq": 0,
        "peer_read_seq": 1, "peer_delivered_seq": 2, "muted": false, "muted_until": null, "blocked": false,
        "archived": false, "pinned": false, "metadata": null,
        "updated_at": last["sent_at"],
    });
    assert_eq!(row(&app, "alice", "bob").await, of_alice);
    let answer = app.get("/conversations/bob").await;
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn only_new_messages_reorder_the_inbox() {
    let app = spawn_app();
    for peer in ["alice", "carol", "dave"] {
        app.send(peer, "bob", "hi").await;
    }
    app.send("bob", "alice", "hi yourself").await;
    let order = ["alice", "dave", "carol"];
    assert_eq!(peers(&app.inbox("bob", "").await), order);
    // None of these changes is a new message.
    app.read("carol", "bob").await;
    app.edit("carol", "bob", 1, &json!({"body": "hello"})).await;
    app.react(Method::PUT, ["carol", "bob"], 1, "👍").await;
    app.read("bob", "carol").await;
    app.mark_unread("bob", "carol", 1).await;
    app.flag(Method::PUT, "bob", "carol", "mute").await;
    app.delete("carol", "bob", 1).await.json(200);
    assert_eq!(peers(&app.inbox("bob", "").await), order);
    app.send("carol", "bob", "now").await;
    assert_eq!(
        peers(&app.inbox("bob", "").await),
        ["carol", "alice", "dave"]
    );
}

#[tokio::test]
async fn unread_only_filters_rows_but_not_totals() {
    let app = spawn_app();
    create_conversations(&app, "bob", 30);
    for n in (1..=30).filter(|n| n % 10 != 0) {
        app.read("bob", &format!("peer-{n}")).await;
    }
    let page = app.inbox("bob", "unread_only=true&limit=2").await;
    assert_eq!(peers(&page), ["peer-30", "peer-20"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let query = format!("unread_only=true&limit=2&cursor={cursor}");
    let rest = app.inbox("bob", &query).await;
    assert_eq!(peers(&rest), ["peer-10"]);
    assert_eq!(rest["next_cursor"], Value::Null);
    for page in [&page, &rest] {
        let totals = ["total_unread_count", "unread_conversations"].map(|name| &page[name]);
        assert_eq!(totals, [&json!(3), &json!(3)]);
    }
    assert_eq!(
        peers(&app.inbox("bob", "unread_only=false").await).len(),
        30
    );
}

#[tokio::test]
async fn unread_totals_always_equal_the_sum_of_the_rows() {
    let app = spawn_app();
    let agrees = async |expected: [u64; 2], why: &str| {
        assert_eq!(app.badge("bob").await, expected, "{why}");
        let inbox = app.inbox("bob", "").await;
        let rows = inbox["conversations"].as_array().unwrap();
        let counts = rows.iter().map(|row| row["unread_count"].as_u64().unwrap());
        let (sum, some) = counts.fold((0, 0), |(sum, some), count| {
            (sum + count, some + u64::from(count > 0))
        });
        assert_eq!([sum, some], expected, "{why}");
    };
    for peer in ["alice", "alice", "alice", "carol", "carol", "dave"] {
        app.send(peer, "bob", "hi").await;
    }
    agrees([6, 3], "sent").await;
    app.send("bob", "erin", "hi").await;
    agrees([6, 3], "one's own message counts for the other").await;
    app.read("bob", "carol").await;
    agrees([4, 2], "read").await;
    app.mark_read("bob", "alice", 1).await;
    agrees([3, 2], "read in part").await;
    app.delete("alice", "bob", 3).await.json(200);
    agrees([2, 2], "deleted unread").await;
    app.delete("alice", "bob", 1).await.json(200);
    agrees([2, 2], "deleted when it was read").await;
    app.delete("dave", "bob", 1).await.json(200);
    agrees([1, 1], "the only unread one deleted").await;
    app.mark_unread("bob", "carol", 1).await;
    agrees([3, 2], "marked unread").await;
    app.clear("bob", "carol").await;
    agrees([1, 1], "cleared").await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    assert_eq!(app.badge("bob").await, [0, 0], "blocked");
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    agrees([1, 1], "unblocked").await;
}

#[tokio::test]
async fn flags_are_shown_only_to_the_user_who_set_them() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let flags = async |user: &str, peer: &str| {
        let row = row(&app, user, peer).await;
        [row["muted"] == true, row["blocked"] == true]
    };
    assert_eq!(flags("bob", "alice").await, [false, false]);
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    assert_eq!(flags("bob", "alice").await, [true, false]);
    app.flag(Method::PUT, "bob", "alice", "block").await;
    assert_eq!(flags("bob", "alice").await, [true, true]);
    assert_eq!(flags("alice", "bob").await, [false, false]);
    app.flag(Method::DELETE, "bob", "alice", "mute").await;
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    assert_eq!(flags("bob", "alice").await, [false, false]);
}

#[tokio::test]
async fn a_cleared_conversation_returns_with_its_next_message() {
    let app = spawn_app();
    app.send("alice", "bob", "one").await;
    app.send("carol", "bob", "hi").await;
    let cleared = app.clear("bob", "alice").await;
    assert_eq!(
        (
            &cleared["last_message"],
            &cleared["unread_count"],
            &cleared["updated_at"]
        ),
        (&Value::Null, &json!(0), &Value::Null)
    );
    assert_eq!(peers(&app.inbox("bob", "").await), ["carol"]);
    assert_eq!(
        peers(&app.inbox("alice", "").await),
        ["bob"],
        "alice keeps it"
    );
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["history"], &page["next_before"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(page["last_seq"], 1);
    app.message("bob", "alice", 1)
        .await
        .problem(404, "MESSAGE_NOT_FOUND");
    assert_eq!(app.message("alice", "bob", 1).await.status, 200);
    // Receipts and flags do not restore it; only a message does.
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.mark_unread("bob", "alice", 1).await;
    app.react(Method::PUT, ["alice", "bob"], 1, "👍").await;
    assert_eq!(peers(&app.inbox("bob", "").await), ["carol"]);
    let two = app.send("alice", "bob", "two").await;
    assert_eq!(peers(&app.inbox("bob", "").await), ["alice", "carol"]);
    let page = app.read("bob", "alice").await;
    assert_eq!(
        (&page["history"], &page["unread"]),
        (&json!([two]), &json!([two]))
    );
    let reply = json!({"from": "bob", "to": "alice", "body": "x", "reply_to": 1});
    app.post(&reply).await.problem(422, "REPLY_TO_NOT_FOUND");
}

#[tokio::test]
async fn an_invalid_query_is_refused_and_names_the_field() {
    let app = spawn_app();
    let long = format!("cursor=1,{}", "x".repeat(160));
    let cases = [
        ("a limit below the least", "limit=0", "/query/limit"),
        ("a limit above the most", "limit=201", "/query/limit"),
        ("a cursor in words", "cursor=next", "/query/cursor"),
        ("a cursor without a place", "cursor=,a", "/query/cursor"),
        ("a cursor that is infinite", "cursor=inf,a", "/query/cursor"),
        ("a cursor that excludes", "cursor=(1,a", "/query/cursor"),
        ("a cursor too long", &long, "/query/cursor"),
        (
            "a flag that is neither",
            "unread_only=1",
            "/query/unread_only",
        ),
        ("an unknown parameter", "peek=true", "/query/peek"),
    ];
    for (reason, query, pointer) in cases {
        let answer = app.get(&format!("/conversations/bob?{query}")).await;
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.invalid_field(pointer);
    }
}
