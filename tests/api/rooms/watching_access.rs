//! Who loses access to a watched room is told and receives nothing more of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::live::resume::bodies;
use crate::harness::live::watcher::watcher;
use crate::harness::{TestApp, spawn_app};

/// Waits until a device does not watch a room any more; returns why.
async fn unwatched(device: &mut Device) -> Value {
    let is_end = |event: &Value| event["type"] == "unwatched";
    let mut told = device.events_until(is_end).await;
    let mut end = told.pop().unwrap();
    assert_eq!(end["room"], "general");
    end["problem"]["code"].take()
}

/// Checks that a device receives nothing of a message to the room that another one receives.
async fn assert_told_nothing(app: &TestApp, device: &mut Device, other: &mut Device, after: &str) {
    app.send("alice", "room:general", "the end").await;
    other.room_events_until(after, "the end").await;
    assert_silence(device).await;
}

/// Checks that a device receives nothing of rooms for a moment.
async fn assert_silence(device: &mut Device) {
    let told = device.events_within(Duration::from_millis(100)).await;
    let of_room = told.iter().find(|event| event.get("room").is_some());
    assert_eq!(of_room, None, "{device:?}");
}

async fn ban(app: &TestApp, user: &str) {
    let banned = app.set_member("general", user, "banned").await;
    assert!(banned.status < 300, "{}", banned.text);
}

#[tokio::test]
async fn a_banned_watcher_is_told_and_hears_nothing_more() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    let (mut dave, start) = watcher(&app, "dave", "general").await;
    for user in ["bob", "eve"] {
        let (mut banned, _) = watcher(&app, user, "general").await;
        ban(&app, user).await;
        assert_eq!(unwatched(&mut banned).await, "NOT_A_MEMBER");
        let again = banned.try_watch("general", Some(&start)).await;
        assert_eq!(again["problem"]["code"], "NOT_A_MEMBER");
        app.send("alice", "room:general", "after the ban").await;
        assert_silence(&mut banned).await;
    }
    app.send("alice", "room:general", "the end").await;
    let events = dave.room_events_until(&start, "the end").await;
    let about: Vec<_> = events
        .iter()
        .filter_map(|event| event["user"].as_str())
        .collect();
    assert_eq!(about, ["bob", "eve"]);
}

#[tokio::test]
async fn who_leaves_an_invited_room_hears_nothing_more_of_it() {
    let app = spawn_app();
    let invited = json!({"members": ["alice", "bob"]});
    app.set_room("general", &invited).await;
    let (mut alice, start) = watcher(&app, "alice", "general").await;
    let (mut bob, _) = watcher(&app, "bob", "general").await;
    app.remove_member("general", "bob").await;
    assert_eq!(unwatched(&mut bob).await, "ROOM_NOT_FOUND");
    assert_told_nothing(&app, &mut bob, &mut alice, &start).await;
}

#[tokio::test]
async fn who_leaves_an_open_room_may_still_watch_it() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    let (mut bob, start) = watcher(&app, "bob", "general").await;
    app.remove_member("general", "bob").await;
    app.send("alice", "room:general", "the end").await;
    let events = bob.room_events_until(&start, "the end").await;
    assert_eq!(bodies(&events), ["", "the end"]);
    assert_eq!(events[0]["type"], "room.left");
}

#[tokio::test]
async fn strangers_do_not_watch_a_room_that_was_closed_to_them() {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    let (mut alice, start) = watcher(&app, "alice", "general").await;
    let (mut eve, _) = watcher(&app, "eve", "general").await;
    app.set_room("general", &json!({"join": "invited"})).await;
    assert_eq!(unwatched(&mut eve).await, "ROOM_NOT_FOUND");
    assert_told_nothing(&app, &mut eve, &mut alice, &start).await;
}

#[tokio::test]
async fn a_deleted_room_is_watched_by_nobody() {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    let (mut alice, start) = watcher(&app, "alice", "general").await;
    let (mut eve, _) = watcher(&app, "eve", "general").await;
    let deleted = app.delete_room("general").await;
    assert_eq!(deleted.status, 204);
    for device in [&mut alice, &mut eve] {
        assert_eq!(unwatched(device).await, "ROOM_NOT_FOUND");
    }
    // Another room of the same name has other events.
    app.open_room("general", &["alice"]).await;
    let resumed = eve.watch("general", Some(&start)).await;
    assert_eq!(resumed, start);
    let changed = eve.next().await;
    assert_eq!(changed["type"], "conversation.changed");
    assert_eq!(changed["prev"], json!(start));
    app.send("alice", "room:general", "anew").await;
    let cursor = changed["cursor"].as_str().unwrap();
    let events = eve.room_events_until(cursor, "anew").await;
    assert_eq!(bodies(&events), ["anew"]);
}

#[tokio::test]
async fn an_old_message_is_not_shown_to_who_joined_later() {
    let app = spawn_app();
    let room = json!({"join": "open", "history": "joined", "members": ["alice"]});
    app.set_room("general", &room).await;
    let (alice, early) = watcher(&app, "alice", "general").await;
    app.send("alice", "room:general", "old").await;
    app.set_member("general", "bob", "member").await;
    for user in ["bob", "eve"] {
        let (mut device, start) = watcher(&app, user, "general").await;
        let edit = json!({"body": format!("old secret of {user}")});
        app.edit("alice", "room:general", 1, &edit).await.json(200);
        app.send("alice", "room:general", user).await;
        let events = device.room_events_until(&start, user).await;
        assert_eq!(events[0]["type"], "conversation.changed");
        assert_eq!(bodies(&events), ["", user]);
    }
    // Not even to a member who claims to have watched before.
    let mut bob = Device::connect(&app, "bob").await;
    bob.watch("general", Some(&early)).await;
    app.send("alice", "room:general", "the end").await;
    let events = bob.room_events_until(&early, "the end").await;
    assert!(
        !bodies(&events).iter().any(|body| body.starts_with("old")),
        "{events:#?}"
    );
    drop(alice);
}
