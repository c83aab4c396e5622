//! Joining, leaving, roles and bans.

use serde_json::json;

use crate::harness::TestApp;
use crate::harness::auth::secured_app::spawn_secured_app;
use crate::harness::http::calls::By;
use crate::harness::http::response::ApiResponse;
use crate::harness::rooms::names;
use crate::harness::spawn_app;

const ROOM: &str = "/rooms/general";

/// A service with a room that alice created, of which bob is a member.
async fn spawn_room(join: &str) -> TestApp {
    let app = spawn_secured_app();
    let room = json!({"join": join, "members": ["bob"]});
    let created = app.by(By::User("alice"), "PUT", ROOM, Some(&room)).await;
    created.json(201);
    app
}

/// Sets a role of a member.
async fn set(app: &TestApp, by: By<'_>, user: &str, role: Option<&str>) -> ApiResponse {
    let path = format!("{ROOM}/members/{user}");
    let body = role.map(|role| json!({"role": role}));
    app.by(by, "PUT", &path, body.as_ref()).await
}

async fn remove(app: &TestApp, by: By<'_>, user: &str) -> ApiResponse {
    let path = format!("{ROOM}/members/{user}");
    app.by(by, "DELETE", &path, None).await
}

async fn list(app: &TestApp, by: By<'_>) -> Vec<String> {
    let path = format!("{ROOM}/members");
    names(&app.by(by, "GET", &path, None).await.json(200))
}

async fn rename(app: &TestApp, by: By<'_>) -> ApiResponse {
    app.by(
        by,
        "PUT",
        ROOM,
        Some(&json!({"title": "New", "join": "open"})),
    )
    .await
}

const ALICE: By = By::User("alice");
const BOB: By = By::User("bob");
const CAROL: By = By::User("carol");

#[tokio::test]
async fn anybody_joins_an_open_room_once_and_leaves_it() {
    let app = spawn_room("open").await;
    let joined = set(&app, CAROL, "carol", None).await.json(201);
    assert_eq!(
        (&joined["role"], &joined["read_seq"]),
        (&json!("member"), &json!(0))
    );
    let before = app.settled_contents().await;
    assert_eq!(set(&app, CAROL, "carol", None).await.json(200), joined);
    set(&app, CAROL, "carol", Some("member")).await.json(200);
    set(&app, ALICE, "alice", None).await.json(200);
    assert_eq!(
        list(&app, CAROL).await,
        ["alice:admin", "bob:member", "carol:member"]
    );
    assert_eq!(app.contents(), before, "joining again changes nothing");
    for _ in 0..2 {
        assert_eq!(remove(&app, CAROL, "carol").await.status, 204);
    }
    assert_eq!(list(&app, CAROL).await, ["alice:admin", "bob:member"]);
    set(&app, CAROL, "carol", None).await.json(201);
}

#[tokio::test]
async fn only_an_admin_adds_members_to_an_invited_room() {
    let app = spawn_room("invited").await;
    set(&app, CAROL, "carol", None)
        .await
        .problem(404, "ROOM_NOT_FOUND");
    set(&app, BOB, "carol", None)
        .await
        .problem(403, "FORBIDDEN");
    set(&app, ALICE, "carol", None).await.json(201);
    assert_eq!(list(&app, CAROL).await.len(), 3);
    // Who has left does not see the room any more.
    assert_eq!(remove(&app, CAROL, "carol").await.status, 204);
    remove(&app, CAROL, "carol")
        .await
        .problem(404, "ROOM_NOT_FOUND");
    app.by(CAROL, "GET", ROOM, None)
        .await
        .problem(404, "ROOM_NOT_FOUND");
    set(&app, By::Backend, "carol", None).await.json(201);
    app.by(CAROL, "GET", ROOM, None).await.json(200);
}

#[tokio::test]
async fn a_member_cannot_do_what_an_admin_can() {
    let app = spawn_room("open").await;
    set(&app, CAROL, "carol", None).await.json(201);
    let before = app.settled_contents().await;
    let refused = [
        rename(&app, BOB).await,
        set(&app, BOB, "carol", Some("banned")).await,
        set(&app, BOB, "bob", Some("admin")).await,
        set(&app, BOB, "dave", None).await,
        remove(&app, BOB, "carol").await,
        app.by(BOB, "DELETE", ROOM, None).await,
    ];
    for answer in refused {
        answer.problem(403, "FORBIDDEN");
    }
    let stranger = By::User("mallory");
    let refused = [
        rename(&app, stranger).await,
        set(&app, stranger, "carol", Some("banned")).await,
        set(&app, stranger, "mallory", Some("admin")).await,
        set(&app, stranger, "dave", None).await,
        remove(&app, stranger, "carol").await,
        app.by(stranger, "DELETE", ROOM, None).await,
    ];
    for answer in refused {
        answer.problem(403, "NOT_A_MEMBER");
    }
    assert_eq!(app.contents(), before, "nothing changed");

    rename(&app, ALICE).await.json(200);
    set(&app, ALICE, "bob", Some("admin")).await.json(200);
    assert_eq!(remove(&app, BOB, "carol").await.status, 204);
    assert_eq!(remove(&app, BOB, "alice").await.status, 204);
    assert_eq!(list(&app, BOB).await, ["bob:admin"]);
}

#[tokio::test]
async fn a_banned_user_is_kept_out_until_the_ban_is_lifted() {
    let app = spawn_room("open").await;
    let banned = set(&app, ALICE, "bob", Some("banned")).await.json(200);
    assert_eq!(banned["role"], "banned");
    let before = app.settled_contents().await;
    let members = format!("{ROOM}/members");
    let refused = [
        set(&app, BOB, "bob", None).await,
        set(&app, BOB, "bob", Some("banned")).await,
        remove(&app, BOB, "bob").await,
        rename(&app, BOB).await,
        app.by(BOB, "GET", ROOM, None).await,
        app.by(BOB, "GET", &members, None).await,
        app.by(BOB, "DELETE", ROOM, None).await,
    ];
    for answer in refused {
        answer.problem(403, "NOT_A_MEMBER");
    }
    assert_eq!(app.contents(), before, "nothing changed");
    // Only admins see who is banned, and a banned user does not count.
    assert_eq!(list(&app, ALICE).await, ["alice:admin", "bob:banned"]);
    assert_eq!(list(&app, By::Backend).await, ["alice:admin", "bob:banned"]);
    assert_eq!(list(&app, CAROL).await, ["alice:admin"]);
    let room = app.by(CAROL, "GET", ROOM, None).await.json(200);
    assert_eq!(room["member_count"], 1);

    assert_eq!(remove(&app, ALICE, "bob").await.status, 204);
    set(&app, BOB, "bob", None).await.json(201);
    // A user can be banned before it ever joins, and an admin unbans by setting another role.
    set(&app, ALICE, "mallory", Some("banned")).await.json(201);
    let mallory = By::User("mallory");
    set(&app, mallory, "mallory", None)
        .await
        .problem(403, "NOT_A_MEMBER");
    set(&app, ALICE, "mallory", None).await.json(200);
    assert_eq!(
        list(&app, mallory).await,
        ["alice:admin", "bob:member", "mallory:member"]
    );
}

#[tokio::test]
async fn a_room_outlives_its_last_admin_and_member() {
    let app = spawn_room("invited").await;
    assert_eq!(remove(&app, ALICE, "alice").await.status, 204);
    rename(&app, BOB).await.problem(403, "FORBIDDEN");
    assert_eq!(remove(&app, BOB, "bob").await.status, 204);
    let room = app.by(By::Backend, "GET", ROOM, None).await.json(200);
    assert_eq!(room["member_count"], 0);
    set(&app, By::Backend, "bob", Some("admin")).await.json(201);
    rename(&app, BOB).await.json(200);
}

#[tokio::test]
async fn members_are_listed_in_pages_in_the_order_of_their_ids() {
    let app = spawn_app();
    let users: Vec<_> = (0..60).map(|n| format!("user{n:02}")).collect();
    let room = json!({"members": users});
    app.set_room("general", &room).await.json(201);
    let (mut seen, mut query) = (Vec::new(), "limit=25".to_owned());
    let mut pages = 0;
    loop {
        let page = app.get(&format!("{ROOM}/members?{query}")).await.json(200);
        seen.extend(names(&page));
        pages += 1;
        match page["next_after"].as_str() {
            Some(after) => query = format!("limit=25&after={after}"),
            None => break,
        }
    }
    let expected: Vec<_> = users.iter().map(|user| format!("{user}:member")).collect();
    assert_eq!((seen, pages), (expected, 3));
    let first = app.get(&format!("{ROOM}/members")).await.json(200);
    assert_eq!(names(&first).len(), 50, "by default");
    let end = app
        .get(&format!("{ROOM}/members?after=zoe"))
        .await
        .json(200);
    assert_eq!(end, json!({"members": [], "next_after": null}));
}

#[tokio::test]
async fn a_room_that_a_user_does_not_see_is_like_none() {
    let app = spawn_room("invited").await;
    let mallory = By::User("mallory");
    for (method, path, body) in [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/members", None),
        ("PUT", "/members/mallory", None),
        ("PUT", "/members/bob", Some(json!({"role": "banned"}))),
        ("DELETE", "/members/mallory", None),
        ("DELETE", "/members/bob", None),
    ] {
        let mut answers = Vec::new();
        for room in [ROOM, "/rooms/missing"] {
            let path = format!("{room}{path}");
            let answer = app.by(mallory, method, &path, body.as_ref()).await;
            answer.problem(404, "ROOM_NOT_FOUND");
            answers.push(answer.problem_text());
        }
        assert_eq!(answers[0], answers[1], "{method} {path}");
    }
}
