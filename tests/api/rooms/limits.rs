//! How many members a room has, and in how many rooms a user is.

use std::time::{Duration, Instant};

use duologue::store::Keys;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::FILED;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on, spawn_app_with};

/// Creates rooms `<prefix>0`, `<prefix>1` and so on.
async fn create_rooms(app: &TestApp, prefix: &str, count: usize) {
    for n in 0..count {
        let room = format!("{prefix}{n}");
        app.set_room(&room, &json!({"join": "open"}))
            .await
            .json(201);
    }
}

#[tokio::test]
async fn a_room_has_no_more_members_than_its_limit() {
    let app = spawn_app_with(&["--room-members", "3"]);
    app.open_room("general", &["alice", "bob", "carol"]).await;
    let before = app.settled_contents().await;
    let refused = app.set_member("general", "dave", "member").await;
    refused.problem(409, "ROOM_FULL");
    let refused = app.set_room("general", &json!({"members": ["dave"]})).await;
    refused.problem(409, "ROOM_FULL");
    let many = json!({"members": ["a", "b", "c", "d"]});
    app.set_room("other", &many).await.problem(409, "ROOM_FULL");
    assert_eq!(app.contents(), before);
    // A banned user does not count, and is not counted as removed twice.
    assert_eq!(
        app.set_member("general", "carol", "banned").await.status,
        200
    );
    assert_eq!(
        app.set_member("general", "dave", "member").await.status,
        201
    );
    app.set_member("general", "carol", "member")
        .await
        .problem(409, "ROOM_FULL");
    assert_eq!(app.remove_member("general", "dave").await.status, 204);
    assert_eq!(
        app.set_member("general", "carol", "admin").await.status,
        200
    );
    assert_eq!(app.get("/rooms/general").await.json(200)["member_count"], 3);
}

#[tokio::test]
async fn two_processes_admit_exactly_as_many_members_as_fit() {
    let app = spawn_app();
    let other = spawn_app_on(&app.redis_url);
    for part in 0..2 {
        let users: Vec<_> = (0..100).map(|n| format!("early{part}-{n}")).collect();
        let room = json!({"join": "open", "members": users});
        assert!(app.set_room("general", &room).await.status < 202);
    }
    let joins = (0..80).map(async |n| {
        let app = if n % 2 == 0 { &app } else { &other };
        let path = format!("/rooms/general/members/late{n}");
        app.request(Method::PUT, &path).await
    });
    let answers = join_all(joins).await;
    let full = answers.iter().filter(|answer| answer.status == 409);
    full.clone().for_each(|answer| {
        answer.problem(409, "ROOM_FULL");
    });
    assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 56);
    assert_eq!(full.count(), 24);
    assert_eq!(
        other.get("/rooms/general").await.json(200)["member_count"],
        256
    );
}

#[tokio::test]
async fn a_message_reaches_every_member_of_a_full_room() {
    let app = spawn_app();
    let users: Vec<_> = (0..256).map(|n| format!("user{n}")).collect();
    for part in users.chunks(100) {
        let room = json!({"join": "open", "members": part});
        assert!(app.set_room("general", &room).await.status < 202);
    }
    let unread = async || {
        let mut total = 0;
        for part in users.chunks(100) {
            let path = format!("/unread?users={}", part.join(","));
            let counts = app.get(&path).await.json(200);
            let counts = counts["users"].as_array().unwrap().iter();
            total += counts
                .map(|user| user["total_unread_count"].as_u64().unwrap())
                .sum::<u64>();
        }
        total
    };
    // The fastest of some messages: the machine may be busy.
    let (mut answered, mut filed) = (Duration::MAX, Duration::MAX);
    for number in 1..=5 {
        let sent = Instant::now();
        app.send("user0", "room:general", "hello").await;
        answered = answered.min(sent.elapsed());
        eventually("everybody else has it", FILED, async || {
            unread().await == 255 * number
        })
        .await;
        filed = filed.min(sent.elapsed());
    }
    assert!(answered < Duration::from_millis(50), "{answered:?}");
    assert!(filed < Duration::from_secs(1), "{filed:?}");
}

#[tokio::test]
async fn a_user_is_in_at_most_a_thousand_rooms() {
    let app = spawn_app();
    let other = spawn_app_on(&app.redis_url);
    create_rooms(&app, "race", 20).await;
    fill_places(&app, "alice", 990);
    let joins = (0..20).map(async |n| {
        let app = if n % 2 == 0 { &app } else { &other };
        let path = format!("/rooms/race{n}/members/alice");
        app.request(Method::PUT, &path).await
    });
    let answers = join_all(joins).await;
    assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 10);
    let refused: Vec<_> = answers.iter().filter(|a| a.status == 409).collect();
    assert_eq!(refused.len(), 10);
    for answer in &refused {
        answer.problem(409, "TOO_MANY_ROOMS");
    }
    // Nobody is added if one of the users has too many rooms.
    let both = json!({"members": ["bob", "alice"]});
    let refused = app.set_room("new", &both).await;
    let detail = refused.problem(409, "TOO_MANY_ROOMS")["detail"].to_string();
    assert!(detail.contains("alice"), "{detail}");
    app.get("/rooms/new").await.problem(404, "ROOM_NOT_FOUND");

    // Leaving makes room, also by a ban.
    let joined = (0..20).filter(|n| answers[*n].status == 201);
    let joined: Vec<_> = joined.map(|n| format!("race{n}")).collect();
    assert_eq!(app.remove_member(&joined[0], "alice").await.status, 204);
    app.set_room("new", &both).await.json(201);
    assert_eq!(
        app.set_member(&joined[1], "alice", "banned").await.status,
        200
    );
    app.set_room("new2", &both).await.json(201);
    app.set_room("new3", &both)
        .await
        .problem(409, "TOO_MANY_ROOMS");
    // Rooms that are deleted make room too.
    let deleted = app.delete_room("new2").await;
    assert_eq!(deleted.status, 204);
    eventually("a place is free", FILED, async || {
        app.set_room("new3", &both).await.status == 201
    })
    .await;
}

/// Reserves places of a user for rooms that the user is joining, which takes a very long time.
fn fill_places(app: &TestApp, user: &str, count: usize) {
    let mut add = redis::cmd("ZADD");
    add.arg(Keys::new().rooms(user));
    for n in 0..count {
        add.arg(4_000_000_000_000_000_u64)
            .arg(format!("room:full{n}"));
    }
    add.exec(&mut app.redis()).unwrap();
}

#[tokio::test]
async fn places_that_were_never_used_are_given_up() {
    let app = spawn_app();
    let mut redis = app.redis();
    // A process that died between the reservation and the join.
    let key = Keys::new().rooms("alice");
    let mut add = redis::cmd("ZADD");
    add.arg(&key);
    for n in 0..1000 {
        add.arg(1_700_000_000_000_000_u64)
            .arg(format!("room:gone{n}"));
    }
    add.exec(&mut redis).unwrap();
    app.open_room("general", &["alice"]).await;
    let left: usize = redis::cmd("ZCARD").arg(&key).query(&mut redis).unwrap();
    assert_eq!(left, 1);
}
