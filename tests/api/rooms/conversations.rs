//! A room as a conversation of one of its members: marks, settings and the inbox.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;

use crate::harness::store::rooms::create_room;
use crate::harness::{eventually, spawn_app_with};
use crate::rooms::{badge_becomes, spawn_with_room};

#[tokio::test]
async fn a_room_is_marked_as_unread_and_cleared() {
    let app = spawn_with_room();
    for body in ["one", "two", "three"] {
        app.send("alice", "room:general", body).await;
    }
    badge_becomes(&app, "bob", [3, 1]).await;
    let state = app.mark_read("bob", "room:general", 2).await;
    assert_eq!(
        (&state["unread_count"], &state["read_seq"]),
        (&json!(1), &json!(2))
    );
    let state = app.mark_unread("bob", "room:general", 1).await;
    assert_eq!(
        (&state["unread_count"], &state["read_seq"]),
        (&json!(3), &json!(0))
    );
    badge_becomes(&app, "bob", [3, 1]).await;
    let state = app.mark_delivered("bob", "room:general", 3).await;
    assert_eq!(state["unread_count"], 3, "does nothing");
    let state = app.clear("bob", "room:general").await;
    assert_eq!(
        (&state["unread_count"], &state["last_message"]),
        (&json!(0), &json!(null))
    );
    badge_becomes(&app, "bob", [0, 0]).await;
    assert_eq!(app.inbox("bob", "").await["conversations"], json!([]));
    assert_eq!(app.peek("bob", "room:general").await["history"], json!([]));
    app.send("alice", "room:general", "four").await;
    badge_becomes(&app, "bob", [1, 1]).await;
    assert_eq!(
        app.inbox("bob", "").await["conversations"][0]["unread_count"],
        1
    );
}

#[tokio::test]
async fn a_room_is_muted_archived_and_pinned_by_a_member() {
    let app = spawn_with_room();
    app.send("alice", "room:general", "one").await;
    badge_becomes(&app, "bob", [1, 1]).await;
    let state = app.flag(Method::PUT, "bob", "room:general", "mute").await;
    assert_eq!(state["muted"], true);
    eventually("it counts as muted", Duration::from_secs(5), async || {
        app.totals("bob").await["muted_unread_count"] == 1
    })
    .await;
    let state = app
        .flag(Method::DELETE, "bob", "room:general", "mute")
        .await;
    assert_eq!(state["muted"], false);
    let patch = json!({"archived": true, "pinned": true, "metadata": {"color": "red"}});
    let state = app.patch("bob", "room:general", &patch).await.json(200);
    assert_eq!(state["metadata"], json!({"color": "red"}));
    app.send("carol", "bob", "newer").await;
    let inbox = app.inbox("bob", "").await;
    let first = &inbox["conversations"][0];
    assert_eq!(
        (&first["peer"], &first["pinned"]),
        (&json!("room:general"), &json!(true))
    );
    assert_eq!(
        (&first["archived"], &first["metadata"]["color"]),
        (&json!(true), &json!("red"))
    );
    app.send("alice", "room:general", "two").await;
    badge_becomes(&app, "bob", [3, 2]).await;
    let archived = app.inbox("bob", "archived=true").await;
    assert_eq!(archived["conversations"], json!([]), "a message ends it");
}

#[tokio::test]
async fn a_mute_of_a_room_ends_by_itself() {
    let app = spawn_with_room();
    app.send("alice", "room:general", "one").await;
    let until = Utc::now() + TimeDelta::seconds(2);
    let path = "/conversations/bob/room:general/mute";
    let state = app
        .ask(Method::PUT, path, &json!({"until": until}))
        .await
        .json(200);
    assert_eq!(state["muted"], true);
    eventually(
        "it is counted as muted",
        Duration::from_secs(5),
        async || app.totals("bob").await["muted_unread_count"] == 1,
    )
    .await;
    eventually("the mute ends", Duration::from_secs(10), async || {
        app.totals("bob").await["muted_unread_count"] == 0
    })
    .await;
    assert_eq!(app.peek("bob", "room:general").await["muted"], false);
}

#[tokio::test]
async fn a_message_of_a_room_expires() {
    let app = spawn_with_room();
    let message =
        json!({"from": "alice", "to": "room:general", "body": "soon gone", "expires_in": 1});
    app.post(&message).await.json(201);
    eventually("it is deleted", Duration::from_secs(10), async || {
        let message = app.message("bob", "room:general", 1).await.json(200);
        message["deleted_at"].is_string()
    })
    .await;
    badge_becomes(&app, "bob", [1, 1]).await;
}

#[tokio::test]
async fn all_is_marked_as_read_in_rooms_too() {
    let app = spawn_with_room();
    app.send("alice", "room:general", "one").await;
    app.send("alice", "bob", "two").await;
    badge_becomes(&app, "bob", [2, 2]).await;
    let marked = app.request(Method::POST, "/users/bob/read").await;
    assert_eq!(marked.json(200)["done"], true);
    badge_becomes(&app, "bob", [0, 0]).await;
}

#[tokio::test]
async fn messages_that_the_retention_drops_are_not_unread() {
    let app = spawn_app_with(&["--history-limit", "3"]);
    create_room(&mut app.redis(), "general", &["alice", "bob"]);
    for n in 0..5 {
        app.send("alice", "room:general", &n.to_string()).await;
    }
    badge_becomes(&app, "bob", [3, 1]).await;
    let page = app.peek("bob", "room:general").await;
    assert_eq!(page["unread_count"], 3);
    assert_eq!(page["history"].as_array().unwrap().len(), 3);
}
