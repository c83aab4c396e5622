//! Creating, reading and changing rooms.

use serde_json::{Value, json};

use crate::harness::auth::secured_app::{spawn_secured_app, spawn_secured_app_with, token};
use crate::harness::http::calls::By;
use crate::harness::spawn_app;

const ROOM: &str = "/rooms/general";

/// A room without what depends on when it was read.
fn settings_of(room: &Value) -> Value {
    json!({"title": room["title"], "join": room["join"], "history": room["history"],
        "metadata": room["metadata"], "member_count": room["member_count"]})
}

#[tokio::test]
async fn a_room_is_created_read_and_changed() {
    let app = spawn_app();
    app.get(ROOM).await.problem(404, "ROOM_NOT_FOUND");
    let all = json!({"title": "General", "join": "open", "history": "joined",
        "metadata": {"colour": "blue"}, "members": ["bob", "alice", "bob"]});
    let created = app.set_room("general", &all).await;
    assert_eq!(created.header("location"), ROOM);
    let created = created.json(201);
    assert_eq!(created["room"], "general");
    let expected = json!({"title": "General", "join": "open", "history": "joined",
        "metadata": {"colour": "blue"}, "member_count": 2});
    assert_eq!(settings_of(&created), expected);
    assert_eq!(app.get(ROOM).await.json(200), created);

    // A setting that is not given gets its default, and nobody is removed.
    let changed = app
        .set_room("general", &json!({"members": ["carol"]}))
        .await;
    assert_eq!(changed.header("location"), "");
    let changed = changed.json(200);
    let expected = json!({"title": null, "join": "invited", "history": "all", "metadata": null,
        "member_count": 3});
    assert_eq!(settings_of(&changed), expected);
    assert_eq!(changed["created_at"], created["created_at"]);
    let members = ["alice:member", "bob:member", "carol:member"];
    assert_eq!(app.members("general").await, members);
}

#[tokio::test]
async fn if_none_match_protects_an_existing_room() {
    let app = spawn_app();
    let header = |value| [("if-none-match", value)];
    let first = json!({"title": "First"});
    let created = app.call("PUT", ROOM, &header("*"), Some(&first)).await;
    assert_eq!(created.json(201)["title"], "First");
    let before = app.settled_contents().await;
    let second = json!({"title": "Second", "members": ["alice"]});
    let refused = app.call("PUT", ROOM, &header("*"), Some(&second)).await;
    refused.problem(412, "PRECONDITION_FAILED");
    let refused = app.call("PUT", ROOM, &header("\"1\""), Some(&second)).await;
    refused.invalid_field("/header/if-none-match");
    let places = |key: &String| key.contains(":rooms:");
    assert!(!app.contents().keys().any(places), "no place is reserved");
    assert_eq!(app.contents(), before);
}

#[tokio::test]
async fn who_creates_a_room_is_its_admin_unless_a_backend() {
    let app = spawn_secured_app();
    let members = json!({"members": ["bob", "alice"]});
    let room = app
        .by(By::User("alice"), "PUT", ROOM, Some(&members))
        .await
        .json(201);
    assert_eq!(room["membership"]["role"], "admin");
    assert_eq!(room["member_count"], 2);
    let bob = app.by(By::User("bob"), "GET", ROOM, None).await.json(200);
    assert_eq!(bob["membership"]["role"], "member");

    let admins = json!({"admins": ["bob"], "members": ["bob", "carol"]});
    let backend = app
        .by(By::Backend, "PUT", "/rooms/b", Some(&admins))
        .await
        .json(201);
    assert_eq!(
        (&backend["membership"], &backend["member_count"]),
        (&json!(null), &json!(2))
    );
    let as_bob = app
        .by(By::Backend, "GET", "/rooms/b?user=bob", None)
        .await
        .json(200);
    assert_eq!(as_bob["membership"]["role"], "admin");
    let other = app
        .by(By::User("bob"), "GET", "/rooms/b?user=carol", None)
        .await;
    other.problem(403, "FORBIDDEN");
    let refused = app
        .by(By::User("bob"), "PUT", "/rooms/b", Some(&admins))
        .await;
    refused.problem(403, "FORBIDDEN");
    refused.invalid_field("/admins");
}

#[tokio::test]
async fn a_backend_makes_admins_and_unbans_nobody_by_listing() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    assert_eq!(
        app.set_member("general", "mallory", "banned").await.status,
        201
    );
    let again = json!({"members": ["mallory", "bob"], "admins": ["alice", "dave"]});
    assert_eq!(
        app.set_room("general", &again).await.json(200)["member_count"],
        3
    );
    let members = ["alice:admin", "bob:member", "dave:admin", "mallory:banned"];
    assert_eq!(app.members("general").await, members);
}

#[tokio::test]
async fn creating_rooms_can_be_for_backends_only() {
    let app = spawn_secured_app_with(&["--rooms", "backends"]);
    let room = json!({"admins": ["alice"]});
    let before = app.settled_contents().await;
    let credential = ("authorization", &*format!("Bearer {}", token("alice")));
    for headers in [vec![credential], vec![credential, ("if-none-match", "*")]] {
        let refused = app.call("PUT", ROOM, &headers, Some(&json!({}))).await;
        refused.problem(403, "FORBIDDEN");
    }
    assert_eq!(app.contents(), before);
    app.by(By::Backend, "PUT", ROOM, Some(&room))
        .await
        .json(201);
    // An admin still changes the room, and who does not see it learns no more than if it were not there.
    let title = json!({"title": "Ours"});
    app.by(By::User("alice"), "PUT", ROOM, Some(&title))
        .await
        .json(200);
    let there = app.by(By::User("bob"), "PUT", ROOM, Some(&title)).await;
    let missing = app
        .by(By::User("bob"), "PUT", "/rooms/missing", Some(&title))
        .await;
    assert_eq!(
        there.problem(403, "FORBIDDEN")["detail"],
        missing.problem(403, "FORBIDDEN")["detail"]
    );
}
