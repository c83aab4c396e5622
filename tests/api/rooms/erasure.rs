//! Exporting and erasing a user who is or was in rooms.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::event_stream::EventStream;
use crate::harness::{TestApp, spawn_app};

const GENERAL: &str = "room:general";

/// The lines of an export.
async fn export(app: &TestApp, user: &str) -> Vec<Value> {
    let answer = app.get(&format!("/users/{user}/export")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn erase(app: &TestApp, user: &str) -> Value {
    let path = format!("/users/{user}");
    app.request(Method::DELETE, &path).await.json(200)
}

/// Rooms with alice and bob: `general`, where both are, and `former`, which alice has left.
async fn spawn_rooms() -> TestApp {
    let app = spawn_app();
    for room in ["general", "former"] {
        app.open_room(room, &["alice", "bob"]).await;
        for body in ["secret one", "secret two"] {
            app.send("alice", &format!("room:{room}"), body).await;
            app.send("bob", &format!("room:{room}"), "bob's").await;
        }
    }
    app.lists("alice", &["room:former", GENERAL]).await;
    assert_eq!(app.remove_member("former", "alice").await.status, 204);
    app.lists("alice", &[GENERAL]).await;
    app
}

#[tokio::test]
async fn an_export_has_the_rooms_of_a_user_and_its_messages() {
    let app = spawn_rooms().await;
    app.send("alice", "carol", "to carol").await;
    app.patch(
        "alice",
        GENERAL,
        &json!({"pinned": true, "metadata": {"a": 1}}),
    )
    .await
    .json(200);
    let lines = export(&app, "alice").await;
    let mut peers: Vec<_> = lines
        .iter()
        .filter_map(|line| line["conversation"]["peer"].as_str())
        .collect();
    peers.sort_unstable();
    assert_eq!(peers, ["carol", "room:former", GENERAL]);
    let general = lines
        .iter()
        .find(|line| line["conversation"]["peer"] == GENERAL);
    let general = &general.unwrap()["conversation"];
    assert_eq!(
        (&general["pinned"], &general["metadata"]),
        (&json!(true), &json!({"a": 1}))
    );
    let messages: Vec<_> = lines
        .iter()
        .filter_map(|line| line.get("message"))
        .collect();
    assert_eq!(messages.len(), 5);
    assert!(
        messages.iter().all(|message| message["from"] == "alice"),
        "{messages:?}"
    );
}

#[tokio::test]
async fn an_export_of_a_few_messages_among_many_is_complete() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob"]).await;
    for n in 0..350 {
        let from = if n % 120 == 0 { "alice" } else { "bob" };
        app.send(from, GENERAL, "hi").await;
    }
    app.lists("alice", &[GENERAL]).await;
    let lines = export(&app, "alice").await;
    let seqs: Vec<_> = lines
        .iter()
        .filter_map(|line| line["message"]["seq"].as_u64())
        .collect();
    assert_eq!(seqs, [1, 121, 241]);
}

#[tokio::test]
async fn an_erased_user_leaves_rooms_and_only_tombstones() {
    let app = spawn_rooms().await;
    let mut bob = EventStream::open(&app, "bob", None).await;
    for seq in [1, 2] {
        app.react(Method::PUT, ["alice", GENERAL], seq, "👍")
            .await
            .json(200);
    }
    app.react(Method::PUT, ["bob", GENERAL], 2, "👍")
        .await
        .json(200);
    app.send("alice", GENERAL, "secret three").await;
    while bob.next().await["message"]["body"] != "secret three" {}

    let erased = erase(&app, "alice").await;
    let expected = json!({"user": "alice", "conversations": 2, "messages_erased": 5, "done": true});
    assert_eq!(erased, expected);
    assert_eq!(app.members("general").await, ["bob:member"]);
    for room in ["general", "former"] {
        let page = app.peek("bob", &format!("room:{room}")).await;
        for message in page["history"].as_array().unwrap() {
            let is_alices = message["from"] == "alice";
            assert_eq!(message["body"] == "", is_alices, "{message}");
            assert_eq!(message["deleted_at"].is_string(), is_alices, "{message}");
        }
    }
    let liked = app.message("bob", GENERAL, 2).await.json(200);
    assert_eq!(liked["reactions"], json!({"👍": ["bob"]}));
    assert!(!app.texts().contains("secret"), "nothing of it is left");
    assert!(
        !streams(&app).contains("secret"),
        "nor in the events of a room"
    );
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut app.redis()).unwrap();
    let of_alice: Vec<_> = keys.iter().filter(|key| key.ends_with(":alice")).collect();
    assert_eq!(of_alice, Vec::<&String>::new());
    assert_eq!(erase(&app, "alice").await["conversations"], 0);
    // Others go on.
    app.send("bob", GENERAL, "still there").await;
    while bob.next().await["message"]["body"] != "still there" {}
}

#[tokio::test]
async fn a_later_user_of_an_erased_id_is_somebody_else() {
    let app = spawn_rooms().await;
    let message = json!({"from": "alice", "to": GENERAL, "body": "once"});
    app.send_with_key("key", &message).await.json(201);
    let metadata = json!({"metadata": {"a": 1}});
    app.patch("alice", GENERAL, &metadata).await.json(200);
    assert_eq!(
        app.set_member("former", "alice", "banned").await.status,
        201
    );
    erase(&app, "alice").await;

    app.set_member("former", "alice", "member").await.json(201);
    app.set_member("general", "alice", "member").await.json(201);
    app.lists("alice", &["room:former", GENERAL]).await;
    let page = app.peek("alice", GENERAL).await;
    assert_eq!(
        (&page["unread_count"], &page["metadata"]),
        (&json!(0), &json!(null))
    );
    let anew = app.send_with_key("key", &message).await.json(201);
    let exported = export(&app, "alice").await;
    let seqs: Vec<_> = exported
        .iter()
        .filter_map(|line| line["message"].get("seq"))
        .collect();
    assert_eq!(seqs, [&anew["seq"]]);
}

#[tokio::test]
async fn an_erasure_completes_while_others_write() {
    let app = spawn_app();
    app.open_room("general", &["alice", "bob", "carol"]).await;
    for n in 0..120 {
        app.send("alice", GENERAL, &format!("secret {n}")).await;
    }
    let done = AtomicBool::new(false);
    let writes = async |user: &str| {
        while !done.load(Ordering::Relaxed) {
            app.send(user, GENERAL, "meanwhile").await;
        }
    };
    let erasing = async {
        let erased = erase(&app, "alice").await;
        done.store(true, Ordering::Relaxed);
        erased
    };
    let (erased, ..) = tokio::join!(erasing, writes("bob"), writes("carol"));
    let erased = [&erased["messages_erased"], &erased["done"]];
    assert_eq!(erased, [&json!(120), &json!(true)]);
    assert!(!app.texts().contains("secret"), "nothing of it is left");
    assert!(
        !streams(&app).contains("secret"),
        "nor in the room's events"
    );
}

/// What the events of all rooms contain.
fn streams(app: &TestApp) -> String {
    let mut redis = app.redis();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*:room_events:*")
        .query(&mut redis)
        .unwrap();
    let read = |key: &String| -> String {
        let mut range = redis::cmd("XRANGE");
        let found: redis::Value = range.arg(key).arg("-").arg("+").query(&mut redis).unwrap();
        format!("{found:?}")
    };
    keys.iter().map(read).collect()
}
