//! Invalid requests about rooms: each names its field, and nothing is stored.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, spawn_app};

/// Sends requests that must be refused for a field. Nothing may change.
async fn assert_refused(app: &TestApp, cases: Vec<(&str, Method, String, Option<Value>)>) {
    let before = app.settled_contents().await;
    for (pointer, method, path, body) in cases {
        let answer = match &body {
            Some(body) => app.ask(method.clone(), &path, body).await,
            None => app.request(method.clone(), &path).await,
        };
        let problem = answer.problem(400, "INVALID_REQUEST");
        let case = format!("{method} {path} {body:?}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{case}");
    }
    assert_eq!(app.contents(), before);
}

#[tokio::test]
async fn invalid_settings_of_a_room_are_refused_and_named() {
    let app = spawn_app();
    let users = |count: usize| -> Vec<_> { (0..count).map(|n| format!("u{n}")).collect() };
    let long = "x".repeat(4200);
    let settings = [
        ("/title", json!({"title": ""})),
        ("/title", json!({"title": "é".repeat(129)})),
        ("/title", json!({"title": "a\nb"})),
        ("/title", json!({"title": 7})),
        ("/join", json!({"join": "everybody"})),
        ("/history", json!({"history": "none"})),
        ("/metadata", json!({"metadata": {"a": long}})),
        ("/metadata", json!({"metadata": []})),
        ("/members", json!({"members": users(101)})),
        (
            "/admins",
            json!({"members": users(50), "admins": users(51)}),
        ),
        ("/members", json!({"members": "alice"})),
        ("/members/1", json!({"members": ["alice", "room:x"]})),
        ("/members/0", json!({"members": ["a b"]})),
        ("/admins/0", json!({"admins": [""]})),
        ("/name", json!({"name": "general"})),
    ];
    let case = |(pointer, body)| {
        let path = "/rooms/general".to_owned();
        (pointer, Method::PUT, path, Some(body))
    };
    assert_refused(&app, settings.into_iter().map(case).collect()).await;
    // The largest that are allowed.
    let room =
        json!({"title": "é".repeat(128), "members": users(100), "metadata": {"a": &long[..4000]}});
    app.set_room("general", &room).await.json(201);
    let nothing = json!({"title": null, "join": null, "history": null, "metadata": null,
        "members": null, "admins": null});
    let room = app.set_room("general", &nothing).await.json(200);
    assert_eq!(room["member_count"], 100);
}

#[tokio::test]
async fn invalid_ids_of_rooms_and_members_are_refused() {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    let long = "x".repeat(256);
    let mut cases = Vec::new();
    for room in ["a%20b", "room:general", "a,b", &long] {
        for (method, path) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::GET, "/members"),
            (Method::PUT, "/members/alice"),
            (Method::DELETE, "/members/alice"),
        ] {
            cases.push(("/path/room", method, format!("/rooms/{room}{path}"), None));
        }
    }
    for user in ["a%20b", "room:general", &long] {
        for method in [Method::PUT, Method::DELETE] {
            let path = format!("/rooms/general/members/{user}");
            cases.push(("/path/user", method, path, None));
        }
    }
    let member = "/rooms/general/members/bob".to_owned();
    for (pointer, body) in [
        ("/role", json!({"role": "owner"})),
        ("/user", json!({"user": "bob"})),
    ] {
        cases.push((pointer, Method::PUT, member.clone(), Some(body)));
    }
    for (pointer, query) in [
        ("/query/limit", "limit=0"),
        ("/query/limit", "limit=201"),
        ("/query/after", "after=a%20b"),
        ("/query/cursor", "cursor=1"),
    ] {
        let path = format!("/rooms/general/members?{query}");
        cases.push((pointer, Method::GET, path, None));
    }
    let path = "/rooms/general?user=room:x".to_owned();
    cases.push(("/query/user", Method::GET, path, None));
    assert_refused(&app, cases).await;
}

#[tokio::test]
async fn conversations_refuse_names_that_no_room_can_have() {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    let mut cases = Vec::new();
    for peer in ["room:", "room:a%20b", "room:room:general"] {
        cases.push((
            "/path/peer",
            Method::GET,
            format!("/conversations/alice/{peer}"),
            None,
        ));
    }
    for to in ["room:", "room:a b", "room:..", "room:room:x"] {
        let message = json!({"from": "alice", "to": to, "body": "hi"});
        cases.push(("/to", Method::POST, "/messages".to_owned(), Some(message)));
    }
    let block = "/conversations/alice/room:general/block";
    for method in [Method::PUT, Method::DELETE] {
        cases.push(("/path/peer", method, block.to_owned(), None));
    }
    let private = json!({"seq": 0, "private": true});
    let read = "/conversations/alice/room:general/read".to_owned();
    cases.push(("/private", Method::PUT, read, Some(private)));
    assert_refused(&app, cases).await;
}
