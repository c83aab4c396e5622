//! Events of rooms.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::resume::kinds;
use crate::harness::spawn_app;
use crate::harness::store::rooms::create_room;

#[tokio::test]
async fn changes_of_a_room_are_events() {
    let app = spawn_app();
    create_room(&mut app.redis(), "general", &["alice", "bob"]);
    app.subscribe("archive", &json!({})).await;
    let sent = app.send("alice", "room:general", "hi").await;
    app.react(Method::PUT, ["bob", "room:general"], 1, "👍")
        .await
        .json(200);
    app.mark_read("bob", "room:general", 1).await;
    app.delete("alice", "room:general", 1).await.json(200);
    let events = app.drain("archive").await;
    let said = ["message.created", "message.updated"];
    let more = ["conversation.read", "message.deleted"];
    assert_eq!(kinds(&events), [said, more].concat());
    let data = json!({"room": "general", "by": "alice", "last_seq": 1, "message": sent});
    assert_eq!(events[0]["data"], data);
    assert_eq!(events[1]["data"]["by"], "bob");
    let read = json!({"room": "general", "by": "bob", "last_seq": 1, "read_seq": 1});
    assert_eq!(events[2]["data"], read);
}

#[tokio::test]
async fn rooms_and_their_members_are_events() {
    let app = spawn_app();
    app.subscribe("archive", &json!({})).await;
    let room = json!({"join": "open", "members": ["alice"]});
    app.set_room("general", &room).await.json(201);
    let titled = json!({"join": "open", "title": "General"});
    app.set_room("general", &titled).await.json(200);
    let added = app.set_member("general", "bob", "member").await;
    added.json(201);
    let promoted = app.set_member("general", "bob", "admin").await;
    promoted.json(200);
    assert_eq!(app.remove_member("general", "bob").await.status, 204);
    let deleted = app.delete_room("general").await;
    assert_eq!(deleted.status, 204);
    let events = app.drain("archive").await;
    let said = ["room.created", "room.joined", "room.changed", "room.joined"];
    let more = ["room.changed", "room.left", "room.deleted"];
    assert_eq!(kinds(&events), [&said[..], &more[..]].concat());
    let users = events.iter().map(|event| event["data"]["user"].as_str());
    let (alice, bob) = (Some("alice"), Some("bob"));
    let expected = [None, alice, None, bob, bob, bob, None];
    assert!(users.eq(expected), "{events:?}");
}

#[tokio::test]
async fn a_subscription_reads_the_rooms_that_it_names() {
    let app = spawn_app();
    for room in ["general", "random"] {
        create_room(&mut app.redis(), room, &["alice"]);
    }
    let rooms = json!({"rooms": ["general"]});
    app.subscribe("general", &rooms).await;
    for n in 0..5 {
        app.send("alice", "room:general", "hi").await;
        app.send("alice", "room:random", "hi").await;
        app.send("alice", &format!("user-{n}"), "hi").await;
    }
    let events = app.drain("general").await;
    assert_eq!(events.len(), 5);
    let of_room = |event: &Value| event["data"]["room"] == "general";
    assert!(events.iter().all(of_room), "{events:?}");
    let state = app.subscription("general").await;
    assert_eq!((&state["lag"], &state["pending"]), (&json!(0), &json!(0)));
    // With another room it continues there with what happens from now on.
    let path = "/subscriptions/general";
    let rooms = json!({"rooms": ["random"]});
    app.ask(Method::PUT, path, &rooms).await.json(200);
    app.send("alice", "room:general", "not any more").await;
    app.send("alice", "room:random", "now").await;
    let events = app.drain("general").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["message"]["body"], "now");
}
