//! What who joins, leaves or was never in a room can read and write.

use serde_json::{Value, json};

use super::badge_becomes;
use crate::harness::auth::secured_app::spawn_secured_app;
use crate::harness::http::calls::By;
use crate::harness::http::response::ApiResponse;
use crate::harness::live::event_stream::EventStream;
use crate::harness::{TestApp, seqs, spawn_app};

const GENERAL: &str = "room:general";

#[tokio::test]
async fn who_joins_sees_the_messages_that_the_room_allows() {
    let app = spawn_app();
    for history in ["all", "joined"] {
        let room = format!("room:{history}");
        let settings = json!({"join": "open", "history": history, "members": ["alice"]});
        app.set_room(history, &settings).await.json(201);
        for body in ["one", "two"] {
            app.send("alice", &room, body).await;
        }
        app.set_member(history, "bob", "member").await.json(201);
        app.lists(
            "bob",
            if history == "all" {
                &["room:all"]
            } else {
                &["room:all", "room:joined"]
            },
        )
        .await;
        let page = app.peek("bob", &room).await;
        let visible: &[u64] = if history == "all" { &[2, 1] } else { &[] };
        assert_eq!(seqs(&page["history"]), visible, "{history}");
        assert_eq!(page["unread_count"], 0, "{history}");
        for seq in [1, 2] {
            let status = if history == "all" { 200 } else { 404 };
            assert_eq!(app.message("bob", &room, seq).await.status, status);
        }
        app.send("alice", &room, "three").await;
        let page = app.peek("bob", &room).await;
        assert_eq!(
            (seqs(&page["unread"]), &page["unread_count"]),
            (vec![3], &json!(1))
        );
    }
    badge_becomes(&app, "bob", [2, 2]).await;
}

#[tokio::test]
async fn who_leaves_loses_the_room_until_it_joins_again() {
    let app = spawn_app();
    app.set_room("general", &json!({"members": ["alice", "bob"]}))
        .await
        .json(201);
    app.send("alice", GENERAL, "one").await;
    badge_becomes(&app, "bob", [1, 1]).await;
    let mut bob = EventStream::open(&app, "bob", None).await;
    assert_eq!(app.remove_member("general", "bob").await.status, 204);
    let left = bob.next().await;
    assert_eq!(
        (&left["type"], &left["total_unread_count"]),
        (&json!("room.left"), &json!(0))
    );
    app.lists("bob", &[]).await;
    assert_eq!(app.badge("bob").await, [0, 0]);
    app.get("/conversations/bob/room:general")
        .await
        .problem(404, "ROOM_NOT_FOUND");
    let message = json!({"from": "bob", "to": GENERAL, "body": "hi"});
    app.post(&message).await.problem(404, "ROOM_NOT_FOUND");
    app.send("alice", GENERAL, "not for bob").await;

    app.set_member("general", "bob", "member").await.json(201);
    assert_eq!(
        bob.next().await["type"],
        "room.joined",
        "and not the message"
    );
    app.lists("bob", &[GENERAL]).await;
    assert_eq!(app.badge("bob").await, [0, 0]);
    app.send("alice", GENERAL, "three").await;
    assert_eq!(bob.next().await["message"]["body"], "three");
    badge_becomes(&app, "bob", [1, 1]).await;
}

/// Calls that a stranger makes in a room: whether each reads, and the answer.
async fn calls(app: &TestApp, room: &str) -> Vec<(bool, ApiResponse)> {
    let mallory = By::User("mallory");
    let conversation = format!("/conversations/mallory/room:{room}");
    let message = json!({"from": "mallory", "to": format!("room:{room}"), "body": "hi"});
    let seq = json!({"seq": 1});
    let calls: [(bool, &str, String, Option<&Value>); 9] = [
        (true, "GET", conversation.clone(), None),
        (true, "GET", format!("{conversation}/messages/1"), None),
        (true, "GET", format!("/rooms/{room}"), None),
        (true, "GET", format!("/rooms/{room}/members"), None),
        (false, "POST", "/messages".to_owned(), Some(&message)),
        (false, "PUT", format!("{conversation}/read"), Some(&seq)),
        (false, "DELETE", conversation.clone(), None),
        (false, "DELETE", format!("{conversation}/messages/1"), None),
        (
            false,
            "PUT",
            format!("{conversation}/messages/1/reactions/%F0%9F%91%8D"),
            None,
        ),
    ];
    let mut answers = Vec::new();
    for (reads, method, path, body) in calls {
        answers.push((reads, app.by(mallory, method, &path, body).await));
    }
    answers
}

#[tokio::test]
async fn a_stranger_reads_open_rooms_and_knows_no_others() {
    let app = spawn_secured_app();
    let alice = By::User("alice");
    for join in ["open", "invited"] {
        let room = json!({"join": join});
        let path = format!("/rooms/{join}");
        app.by(alice, "PUT", &path, Some(&room)).await.json(201);
        let message = json!({"to": format!("room:{join}"), "body": "hi"});
        app.by(alice, "POST", "/messages", Some(&message))
            .await
            .json(201);
    }
    for (reads, answer) in calls(&app, "open").await {
        if reads {
            assert_eq!(answer.status, 200, "{answer:?}");
        } else {
            answer.problem(403, "NOT_A_MEMBER");
        }
    }
    let invited = calls(&app, "invited").await;
    for ((_, invited), (_, missing)) in invited.iter().zip(calls(&app, "missing").await) {
        invited.problem(404, "ROOM_NOT_FOUND");
        assert_eq!(invited.problem_text(), missing.problem_text());
    }
    // Reading as a stranger leaves no trace.
    let inbox = app.by(By::User("mallory"), "GET", "/conversations/mallory", None);
    assert_eq!(inbox.await.json(200)["conversations"], json!([]));
}

#[tokio::test]
async fn authors_and_admins_delete_messages() {
    let app = spawn_secured_app();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(By::User);
    let room = json!({"members": ["bob", "carol"]});
    app.by(alice, "PUT", "/rooms/general", Some(&room))
        .await
        .json(201);
    for _ in 0..2 {
        let message = json!({"to": GENERAL, "body": "hi"});
        app.by(bob, "POST", "/messages", Some(&message))
            .await
            .json(201);
    }
    let delete = async |by: By<'static>, user: &str, seq: u64| {
        let path = format!("/conversations/{user}/{GENERAL}/messages/{seq}");
        app.by(by, "DELETE", &path, None).await
    };
    delete(carol, "carol", 1).await.problem(403, "FORBIDDEN");
    delete(bob, "bob", 1).await.json(200);
    let tombstone = delete(alice, "alice", 2).await.json(200);
    assert_eq!(
        (&tombstone["from"], &tombstone["body"]),
        (&json!("bob"), &json!(""))
    );
    // An admin does not edit what others wrote.
    let message = json!({"to": GENERAL, "body": "hi"});
    app.by(bob, "POST", "/messages", Some(&message))
        .await
        .json(201);
    let path = format!("/conversations/alice/{GENERAL}/messages/3");
    let edit = json!({"body": "changed"});
    app.by(alice, "PATCH", &path, Some(&edit))
        .await
        .problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_pair_and_a_room_of_the_same_name_are_apart() {
    let app = spawn_app();
    app.open_room("zed", &["room", "zed"]).await;
    app.send("room", "zed", "to the user").await;
    app.send("room", "room:zed", "to the room").await;
    let pair = app.peek("zed", "room").await;
    let room = app.peek("zed", "room:zed").await;
    for (page, body) in [(&pair, "to the user"), (&room, "to the room")] {
        assert_eq!(seqs(&page["history"]), [1]);
        assert_eq!(page["history"][0]["body"], body);
    }
    app.lists("zed", &["room", "room:zed"]).await;
    badge_becomes(&app, "zed", [2, 2]).await;
    app.read("zed", "room:zed").await;
    badge_becomes(&app, "zed", [1, 1]).await;
}
