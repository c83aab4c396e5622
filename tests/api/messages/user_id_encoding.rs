//! User ids in paths, queries and cursors.

use serde_json::json;

use super::user_ids::{IDS, encoded};
use crate::harness::http::raw_connection::exchange;
use crate::harness::spawn_app;

#[tokio::test]
async fn a_path_may_contain_an_id_bare_or_encoded() {
    let app = spawn_app();
    for id in IDS {
        app.send("peer", id, "hi").await;
        let all: Vec<_> = id.bytes().map(|b| format!("%{b:02x}")).collect();
        for path in [(*id).to_owned(), encoded(id), all.concat()] {
            let request = format!(
                "GET /conversations/{path}/peer?peek=true HTTP/1.1\r\nhost: localhost\r\n\r\n"
            );
            let read = exchange(&app.address, request).json(200);
            assert_eq!(
                (&read["user"], &read["unread_count"]),
                (&json!(id), &json!(1)),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_plus_in_a_query_is_a_space_unless_encoded() {
    let app = spawn_app();
    let bob = app
        .get("/presence?users=bob%2Bwork@example.com")
        .await
        .json(200);
    assert_eq!(bob["users"][0]["user"], "bob+work@example.com");
    let refused = app.get("/presence?users=bob+work@example.com").await;
    refused.problem(400, "INVALID_REQUEST");
    refused.invalid_field("/query/users");
    let refused = app.get("/events?user=bob+work@example.com").await;
    let problem = refused.invalid_field("/query/user");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("%2B"), "{detail}");
}

#[tokio::test]
async fn an_inbox_pages_by_cursors_that_need_no_encoding() {
    let app = spawn_app();
    for id in IDS {
        app.send(id, "reader", "hi").await;
    }
    let (mut peers, mut query) = (Vec::new(), String::new());
    loop {
        let page = app
            .get(&format!("/conversations/reader?limit=1{query}"))
            .await
            .json(200);
        peers.push(
            page["conversations"][0]["peer"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        assert!(
            next.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
            "{next}"
        );
        query = format!("&cursor={next}");
    }
    peers.reverse();
    assert_eq!(peers, IDS);
}

#[tokio::test]
async fn ids_that_paths_or_rooms_need_are_refused() {
    let app = spawn_app();
    let long = "x".repeat(256);
    let ids = [
        "",
        ".",
        "..",
        "room:",
        "room:room:1",
        "room:a b",
        "a,b",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a%b",
        "a\"b",
        "a\\b",
        "a{b}",
        "a[b]",
        "a<b>",
        "a^b",
        "a`b",
        "b\u{f3}b",
        "a\u{0}",
        "\u{1f600}",
        &long,
    ];
    for id in ids {
        let refused = app
            .post(&json!({"from": id, "to": "bob", "body": "hi"}))
            .await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field("/from");
        let refused = app
            .post(&json!({"from": "bob", "to": id, "body": "hi"}))
            .await;
        refused.invalid_field("/to");
    }
    // The name of a room is no user; as a recipient it is valid, and there is no such room.
    let refused = app
        .post(&json!({"from": "room:1", "to": "bob", "body": "hi"}))
        .await;
    refused.invalid_field("/from");
    let refused = app
        .post(&json!({"from": "bob", "to": "room:1", "body": "hi"}))
        .await;
    refused.problem(404, "ROOM_NOT_FOUND");
    for id in ["...", "Room:1", "rooms:1", "room", "a.room:1"] {
        app.send(id, "bob", "hi").await;
    }
}
