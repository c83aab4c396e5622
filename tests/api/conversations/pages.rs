//! Pages of a conversation: limits, cursors, positions.

use serde_json::{Value, json};

use super::history::{exchange_messages, fill};
use crate::harness::{seqs, spawn_app};

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
        ("after=10", vec![], json!(11), none.clone()),
        ("after=9007199254740991", vec![], json!(11), none.clone()),
        ("around=5&limit=3", vec![6, 5, 4], json!(4), json!(6)),
        ("around=5&limit=4", vec![6, 5, 4, 3], json!(3), json!(6)),
        ("around=5&limit=1", vec![5], json!(5), json!(5)),
        ("around=1&limit=5", vec![3, 2, 1], none.clone(), json!(3)),
        ("around=10&limit=5", vec![10, 9, 8], json!(8), none.clone()),
        ("around=0&limit=4", vec![2, 1], none.clone(), json!(2)),
        ("around=12&limit=5", vec![10, 9, 8], json!(8), none.clone()),
        (
            "around=9007199254740991&limit=2",
            vec![10, 9],
            json!(9),
            none.clone(),
        ),
        ("before=1", vec![], none.clone(), json!(0)),
        ("before=0", vec![], none.clone(), json!(0)),
        ("limit=0", vec![], json!(11), none.clone()),
        ("before=4&limit=0", vec![], json!(4), json!(3)),
        ("after=4&limit=0", vec![], json!(5), json!(4)),
        ("around=4&limit=0", vec![], json!(4), json!(3)),
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
async fn unread_limit_bounds_the_messages_and_not_the_count() {
    let app = spawn_app();
    fill(&app, "alice", "bob", 777);
    let cases = [
        ("limit=1", 100),
        ("limit=0", 100),
        ("unread_limit=500", 500),
        ("unread_limit=0", 0),
        ("limit=0&unread_limit=0", 0),
        ("before=700", 0),
        ("around=700&unread_limit=7", 7),
    ];
    for (query, expected) in cases {
        let page = app
            .page("bob", "alice", &format!("{query}&peek=true"))
            .await;
        assert_eq!(page["unread_count"], 777, "{query}");
        let newest: Vec<u64> = (778 - expected..=777).rev().collect();
        assert_eq!(seqs(&page["unread"]), newest, "{query}");
    }
    let state = app.page("bob", "alice", "limit=0&unread_limit=0").await;
    assert_eq!(state["history"], json!([]));
    assert_eq!(state["last_seq"], 777);
}

#[tokio::test]
async fn a_page_beyond_the_ends_leads_back_to_all_messages() {
    let app = spawn_app();
    exchange_messages(&app, 5).await;
    app.clear("bob", "alice").await;
    exchange_messages(&app, 5).await;
    let all = [10, 9, 8, 7, 6];
    for (query, cursor, parameter) in [
        ("before=3", "next_after", "after"),
        ("before=6", "next_after", "after"),
        ("after=10", "next_before", "before"),
        ("after=4000", "next_before", "before"),
        ("limit=0", "next_before", "before"),
    ] {
        let page = app.page("bob", "alice", query).await;
        assert_eq!(page["history"], json!([]), "{query}");
        let back = format!("{parameter}={}", page[cursor]);
        let back = app.page("bob", "alice", &back).await;
        assert_eq!(seqs(&back["history"]), all, "{query}");
    }
    let nearest = app.page("bob", "alice", "around=2&limit=2").await;
    assert_eq!(
        seqs(&nearest["history"]),
        [6],
        "cleared messages stay hidden"
    );
    assert_eq!(nearest["next_after"], 6);
    app.clear("bob", "alice").await;
    for query in ["before=3", "after=3", "around=3", "limit=0"] {
        let page = app.page("bob", "alice", query).await;
        assert_eq!(page["history"], json!([]), "{query}");
        let cursors = (&page["next_before"], &page["next_after"]);
        assert_eq!(cursors, (&Value::Null, &Value::Null), "{query}");
    }
}

#[tokio::test]
async fn around_time_finds_the_first_message_since_then() {
    let app = spawn_app();
    let lines = [1, 1, 2, 2, 2, 4, 5].iter().enumerate().map(|(n, day)| {
        let sent_at = format!("2020-01-0{day}T12:00:00Z");
        let body = format!("message {n}");
        let line = json!({"from": "alice", "to": "bob", "body": body, "sent_at": sent_at});
        line.to_string()
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    let headers = [("content-type", "application/x-ndjson")];
    let imported = app.call_text("POST", "/messages/batch", &headers, lines);
    imported.await.json(200);
    app.send("bob", "alice", "today").await;
    let cases = [
        ("1999-01-01T00:00:00Z", 1),
        ("2020-01-01T12:00:00Z", 1),
        ("2020-01-01T12:00:00.001Z", 3),
        ("2020-01-02T00:00:00Z", 3),
        ("2020-01-02T12:00:00.000Z", 3),
        ("2020-01-02T14:00:00%2B02:00", 3),
        ("2020-01-02T14:00:00%2B01:59", 6),
        ("2020-01-03T00:00:00-03:00", 6),
        ("2020-01-05T12:00:00.000001Z", 7),
        ("2020-01-06T00:00:00Z", 8),
        ("2020-01-06t00:00:00z", 8),
        ("9999-12-31T23:59:60Z", 8),
    ];
    for (time, expected) in cases {
        let query = format!("limit=1&around_time={time}");
        let page = app.page("bob", "alice", &query).await;
        assert_eq!(seqs(&page["history"]), [expected], "{time}");
    }
    let page = app
        .page("bob", "alice", "limit=4&around_time=2020-01-02T00:00:00Z")
        .await;
    assert_eq!(seqs(&page["history"]), [4, 3, 2, 1]);
    assert_eq!(
        (&page["next_before"], &page["next_after"]),
        (&Value::Null, &json!(4))
    );
}

#[tokio::test]
async fn an_invalid_query_is_refused_and_names_the_field() {
    let app = spawn_app();
    app.send("alice", "bob", "still unread afterwards").await;
    let cases = [
        ("a limit above the most", "limit=201", "/query/limit"),
        ("a limit of more than 8 bits", "limit=257", "/query/limit"),
        ("a limit that is negative", "limit=-1", "/query/limit"),
        ("a limit in words", "limit=ten", "/query/limit"),
        ("a limit that is empty", "limit=", "/query/limit"),
        (
            "a seq above the maximum",
            "before=9007199254740992",
            "/query/before",
        ),
        (
            "a seq of more than 64 bits",
            "after=18446744073709551616",
            "/query/after",
        ),
        ("a seq in words", "after=last", "/query/after"),
        ("`before` and `after`", "before=5&after=1", "/query/after"),
        (
            "`before` and `around`",
            "before=5&around=1",
            "/query/around",
        ),
        ("`after` and `around`", "after=5&around=1", "/query/around"),
        ("surroundings of nothing", "around=", "/query/around"),
        ("a peek that is neither", "peek=yes", "/query/peek"),
        ("a peek that is empty", "peek=", "/query/peek"),
        (
            "too many unread messages",
            "unread_limit=501",
            "/query/unread_limit",
        ),
        (
            "a negative number of unread messages",
            "unread_limit=-1",
            "/query/unread_limit",
        ),
        ("a day", "around_time=2026-01-31", "/query/around_time"),
        (
            "a time without a zone",
            "around_time=2026-01-31T00:00:00",
            "/query/around_time",
        ),
        (
            "a time with an unencoded plus",
            "around_time=2026-01-31T00:00:00+01:00",
            "/query/around_time",
        ),
        (
            "a year of five digits",
            "around_time=9999-12-31T23:59:59-01:00",
            "/query/around_time",
        ),
        (
            "a day that does not exist",
            "around_time=2026-02-30T00:00:00Z",
            "/query/around_time",
        ),
        (
            "`around` and `around_time`",
            "around=1&around_time=2026-01-31T00:00:00Z",
            "/query/around_time",
        ),
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
