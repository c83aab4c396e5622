//! Watching rooms: what a connection receives of a room, who may watch it, and how many rooms at once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::live::resume::{bodies, kinds};
use crate::harness::live::watcher::watcher;
use crate::harness::spawn_app;

#[tokio::test]
async fn a_watcher_receives_every_event_of_the_room() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    let (mut eve, start) = watcher(&app, "eve", "general").await;
    app.send("alice", "room:general", "one").await;
    let edit = json!({"body": "two"});
    app.edit("alice", "room:general", 1, &edit).await.json(200);
    app.set_member("general", "carol", "member").await;
    app.delete("alice", "room:general", 1).await.json(200);
    app.remove_member("general", "carol").await;
    app.set_room("general", &json!({"join": "open", "title": "General"}))
        .await;
    app.send("bob", "room:general", "the end").await;
    let events = eve.room_events_until(&start, "the end").await;
    let expected = [
        "message.created",
        "message.updated",
        "room.joined",
        "message.deleted",
        "room.left",
        "conversation.changed",
        "message.created",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(bodies(&events), ["one", "two", "", "", "", "", "the end"]);
    assert_eq!([&events[2]["user"], &events[4]["user"]], ["carol", "carol"]);
    let members = ["type", "room", "cursor", "prev", "message"];
    let named: Vec<_> = events[0].as_object().unwrap().keys().collect();
    assert_eq!(named, members, "no `peer` and no counts");
    assert_eq!(events[0]["message"]["to"], "room:general");
    // Nothing of the room is in the stream of the user.
    let inbox = app.inbox("eve", "").await;
    assert_eq!(inbox["conversations"], json!([]));
}

#[tokio::test]
async fn a_room_that_a_stranger_may_not_see_is_like_none() {
    let app = spawn_app();
    app.set_room("secret", &json!({"join": "invited", "members": ["alice"]}))
        .await;
    let mut eve = Device::connect(&app, "eve").await;
    let mut problems = Vec::new();
    for room in ["secret", "absent"] {
        let mut problem = eve.try_watch(room, None).await["problem"].clone();
        assert_eq!(problem["code"], "ROOM_NOT_FOUND");
        problem["request_id"].take();
        problems.push(problem);
    }
    assert_eq!(problems[0], problems[1]);
    let (mut alice, start) = watcher(&app, "alice", "secret").await;
    app.send("alice", "room:secret", "hi").await;
    alice.room_events_until(&start, "hi").await;
    let told = eve.events_within(Duration::from_millis(50)).await;
    assert_eq!(told, [] as [Value; 0]);
}

#[tokio::test]
async fn an_unwatched_room_sends_no_more_events() {
    let app = spawn_app();
    for room in ["general", "random"] {
        app.open_room(room, &["alice"]).await;
    }
    let (mut eve, _) = watcher(&app, "eve", "general").await;
    let start = eve.watch("random", None).await;
    let unwatch = json!({"type": "unwatch", "room": "general"});
    for _ in 0..2 {
        assert_eq!(eve.ask(&unwatch).await["type"], "ack");
    }
    app.send("alice", "room:general", "not told").await;
    app.send("alice", "room:random", "told").await;
    let events = eve.room_events_until(&start, "told").await;
    assert_eq!(bodies(&events), ["told"]);
}

#[tokio::test]
async fn a_connection_watches_64_rooms_and_is_told_why_not_more() {
    let app = spawn_app();
    for number in 0..65 {
        app.set_room(&format!("room-{number}"), &json!({"join": "open"}))
            .await;
    }
    let mut eve = Device::connect(&app, "eve").await;
    for number in 0..64 {
        eve.watch(&format!("room-{number}"), None).await;
    }
    let refused = eve.try_watch("room-64", None).await;
    assert_eq!(refused["problem"]["status"], 409);
    assert_eq!(refused["problem"]["code"], "TOO_MANY_ROOMS");
    let why = refused["problem"]["detail"].as_str().unwrap();
    assert!(
        why.contains("64 rooms") && why.contains("`unwatch`"),
        "{why}"
    );
    eve.watch("room-0", None).await;
    eve.ask(&json!({"type": "unwatch", "room": "room-0"})).await;
    eve.watch("room-64", None).await;
}

#[tokio::test]
async fn typing_in_a_room_reaches_those_who_watch_it() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    let (mut eve, start) = watcher(&app, "eve", "general").await;
    let (mut alice, _) = watcher(&app, "alice", "general").await;
    let mut bob = Device::connect(&app, "bob").await;
    let typing = json!({"type": "typing", "peer": "room:general"});
    assert_eq!(alice.ask(&typing).await["type"], "ack");
    assert_eq!(
        alice.ask(&typing).await["type"],
        "ack",
        "at most one a second is told"
    );
    let expected = json!({"type": "typing", "room": "general", "cursor": start, "user": "alice"});
    assert_eq!(eve.next().await, expected);
    assert_eq!(eve.ask(&typing).await["problem"]["code"], "NOT_A_MEMBER");
    let path = "/conversations/bob/room:general/typing";
    assert_eq!(app.request(Method::POST, path).await.status, 204);
    assert_eq!(eve.next().await["user"], "bob");
    app.send("bob", "room:general", "the end").await;
    let events = eve.room_events_until(&start, "the end").await;
    assert_eq!(bodies(&events), ["the end"]);
    // The typist is not told, and a member who does not watch the room is not either.
    let events = alice.room_events_until(&start, "the end").await;
    let typists: Vec<_> = events.iter().map(|event| &event["user"]).collect();
    assert_eq!(typists, [&json!("bob"), &Value::Null]);
    let told = bob
        .events_until(|event| event["message"]["body"] == "the end")
        .await;
    assert!(
        told.iter().all(|event| event["type"] != "typing"),
        "{told:#?}"
    );
}

#[tokio::test]
async fn invalid_members_of_watch_are_named() {
    let app = spawn_app();
    let mut eve = Device::connect(&app, "eve").await;
    for (command, pointer) in [
        (json!({"type": "watch"}), "/room"),
        (json!({"type": "watch", "room": ""}), "/room"),
        (json!({"type": "watch", "room": "room:general"}), "/room"),
        (json!({"type": "watch", "room": "a b"}), "/room"),
        (
            json!({"type": "watch", "room": "general", "after": "7"}),
            "/after",
        ),
        (
            json!({"type": "watch", "room": "general", "after": 7}),
            "/after",
        ),
        (
            json!({"type": "watch", "room": "general", "before": 7}),
            "/before",
        ),
        (json!({"type": "unwatch", "room": 7}), "/room"),
    ] {
        let answer = eve.ask(&command).await;
        assert_eq!(answer["problem"]["status"], 400, "{command}");
        assert_eq!(
            answer["problem"]["errors"][0]["pointer"], pointer,
            "{command}"
        );
    }
}
