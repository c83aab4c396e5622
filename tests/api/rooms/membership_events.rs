//! What members are told of a room and its members.

use serde_json::{Value, json};

use crate::harness::live::event_stream::EventStream;
use crate::harness::spawn_app;

/// The next event, as type, peer and the user it is about.
async fn next(of: &mut EventStream) -> (String, String, Value) {
    let event = of.next().await;
    let text = |name: &str| event[name].as_str().unwrap().to_owned();
    (text("type"), text("peer"), event["user"].clone())
}

fn event(kind: &str, user: impl Into<Value>) -> (String, String, Value) {
    (kind.to_owned(), "room:general".to_owned(), user.into())
}

#[tokio::test]
async fn members_are_told_who_joins_and_who_leaves() {
    let app = spawn_app();
    let mut alice = EventStream::open(&app, "alice", None).await;
    let mut bob = EventStream::open(&app, "bob", None).await;
    app.open_room("general", &["alice"]).await;
    assert_eq!(next(&mut alice).await, event("room.joined", "alice"));
    app.set_member("general", "bob", "member").await.json(201);
    assert_eq!(next(&mut alice).await, event("room.joined", "bob"));
    assert_eq!(next(&mut bob).await, event("room.joined", "bob"));

    app.set_room("general", &json!({"title": "New", "join": "open"}))
        .await
        .json(200);
    for stream in [&mut alice, &mut bob] {
        assert_eq!(
            next(stream).await,
            event("conversation.changed", Value::Null)
        );
    }
    assert_eq!(app.remove_member("general", "bob").await.status, 204);
    for stream in [&mut alice, &mut bob] {
        assert_eq!(next(stream).await, event("room.left", "bob"));
    }
    // Who has left is told nothing more.
    app.set_member("general", "carol", "member").await.json(201);
    assert_eq!(next(&mut alice).await, event("room.joined", "carol"));
    app.set_member("general", "bob", "member").await.json(201);
    assert_eq!(next(&mut bob).await, event("room.joined", "bob"));
}

#[tokio::test]
async fn a_ban_is_told_as_leaving() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    app.lists("bob", &["room:general"]).await;
    let mut alice = EventStream::open(&app, "alice", None).await;
    let mut bob = EventStream::open(&app, "bob", None).await;
    app.set_member("general", "bob", "banned").await.json(200);
    for stream in [&mut alice, &mut bob] {
        assert_eq!(next(stream).await, event("room.left", "bob"));
    }
    app.lists("bob", &[]).await;
    app.set_member("general", "bob", "member").await.json(200);
    for stream in [&mut alice, &mut bob] {
        assert_eq!(next(stream).await, event("room.joined", "bob"));
    }
    app.lists("bob", &["room:general"]).await;
}

#[tokio::test]
async fn a_repeated_request_is_told_to_nobody() {
    let app = spawn_app();
    let settings = json!({"join": "open", "title": "General", "members": ["alice", "bob"]});
    app.set_room("general", &settings).await.json(201);
    app.lists("alice", &["room:general"]).await;
    let mut alice = EventStream::open(&app, "alice", None).await;
    app.set_room("general", &settings).await.json(200);
    app.set_member("general", "bob", "member").await.json(200);
    assert_eq!(app.remove_member("general", "carol").await.status, 204);
    app.set_member("general", "dave", "member").await.json(201);
    assert_eq!(next(&mut alice).await, event("room.joined", "dave"));
}
