//! Deleting a room.

use std::time::Duration;

use serde_json::json;

use crate::harness::live::event_stream::EventStream;
use crate::harness::store::rooms::keys_of_room;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};
use crate::rooms::badge_becomes;

/// The keys of a room that exist.
fn keys_of(app: &TestApp, room: &str) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut app.redis()).unwrap();
    keys.retain(|key| key.ends_with(&format!(":room:{room}")));
    keys
}

#[tokio::test]
async fn a_deleted_room_is_told_to_its_members_and_gone() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    app.lists("bob", &["room:general"]).await;
    let mut bob = EventStream::open(&app, "bob", None).await;
    app.send("alice", "room:general", "hello").await;
    assert_eq!(bob.next().await["type"], "message.created");
    assert_eq!(app.delete_room("general").await.status, 204);

    let left = bob.next().await;
    assert_eq!(
        (
            &left["type"],
            &left["peer"],
            &left["user"],
            &left["total_unread_count"]
        ),
        (
            &json!("room.left"),
            &json!("room:general"),
            &json!("bob"),
            &json!(0)
        )
    );
    for user in ["alice", "bob"] {
        app.lists(user, &[]).await;
    }
    assert_eq!(keys_of(&app, "general"), Vec::<String>::new());
    for path in ["/rooms/general", "/conversations/alice/room:general"] {
        app.get(path).await.problem(404, "ROOM_NOT_FOUND");
    }
    let again = app.delete_room("general").await;
    again.problem(404, "ROOM_NOT_FOUND");
}

#[tokio::test]
async fn a_name_is_free_again_after_the_deletion() {
    let app = spawn_app();
    for round in 0..3 {
        let room = app.open_room("general", &["alice", "bob"]).await;
        assert_eq!(room["last_seq"], 0);
        let sent = app.send("alice", "room:general", &format!("{round}")).await;
        assert_eq!(sent["seq"], 1);
        app.lists("bob", &["room:general"]).await;
        badge_becomes(&app, "bob", [1, 1]).await;
        assert_eq!(app.delete_room("general").await.status, 204);
        badge_becomes(&app, "bob", [0, 0]).await;
    }
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_completed() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    app.lists("bob", &["room:general"]).await;
    app.send("alice", "room:general", "hello").await;
    // A process that died holds the lease, so that nobody files before it ends.
    let [_, meta, _, _, _, lease, _] = keys_of_room("general");
    let mut redis = app.redis();
    redis::cmd("SET")
        .arg(&lease)
        .arg("dead")
        .arg("PX")
        .arg(4000)
        .exec(&mut redis)
        .unwrap();
    assert_eq!(app.delete_room("general").await.status, 204);
    let exists: bool = redis::cmd("EXISTS").arg(&meta).query(&mut redis).unwrap();
    assert!(exists, "members are not told yet");
    let other = spawn_app_on(&app.redis_url);
    other
        .get("/rooms/general")
        .await
        .problem(404, "ROOM_NOT_FOUND");
    let message = json!({"from": "alice", "to": "room:general", "body": "late"});
    other.post(&message).await.problem(404, "ROOM_NOT_FOUND");
    let joined = other.set_member("general", "carol", "member").await;
    joined.problem(404, "ROOM_NOT_FOUND");
    let anew = other.set_room("general", &json!({})).await;
    anew.problem(409, "ROOM_IS_BEING_DELETED");

    eventually("the room is gone", Duration::from_secs(15), async || {
        keys_of(&app, "general").is_empty()
    })
    .await;
    app.lists("bob", &[]).await;
    app.set_room("general", &json!({})).await.json(201);
}
