//! `duologue chat --room`: the terminal client in a room.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::terminals::{chat_with_interruptions, start_service};
use super::test_session::{NOTHING, TestSession, event, message};
use crate::harness::auth::secured_app::{spawn_secured_app, token};
use crate::harness::cli::chat_process::ChatProcess;
use crate::harness::cli::service_process;
use crate::harness::http::calls::By;
use crate::harness::spawn_app;
use crate::harness::store::redis_server::RedisServer;

/// An event about the room of the session.
fn room_event(kind: &str, cursor: &str, members: &Value) -> Value {
    let mut event = event(kind, cursor, members);
    event["peer"] = json!("room:general");
    event
}

#[test]
fn a_room_shows_messages_and_who_joins_and_leaves() {
    let mut alice = TestSession::in_empty_room();
    let joined = |user: &str, cursor: &str| {
        let members = json!({"user": user});
        [
            room_event("room.joined", cursor, &members),
            room_event("room.left", cursor, &members),
        ]
    };
    let [carol_joined, carol_left] = joined("carol", "1-1");
    assert_eq!(alice.receive(carol_joined), ["* carol joined"]);
    let one = json!({"message": message(1, "carol", "one")});
    let shown = alice.receive(room_event("message.created", "1-2", &one));
    assert_eq!(shown, ["carol: one", "read 1"], "a room has no `delivered`");
    assert_eq!(alice.receive(carol_left), ["* carol left"]);
    let [mut elsewhere, _] = joined("dave", "1-3");
    elsewhere["peer"] = json!("room:other");
    assert_eq!(alice.receive(elsewhere), NOTHING);
    let [alice_joined, alice_left] = joined("alice", "1-4");
    assert_eq!(alice.receive(alice_joined), NOTHING);
    let exit = ["exit: you are no longer a member of the room"];
    assert_eq!(alice.receive(alice_left), exit);
}

#[tokio::test]
async fn users_chat_in_a_room_that_the_first_one_creates() {
    let app = spawn_app();
    let join = |user| ChatProcess::join(&app.address, user, "general");
    let mut alice = join("alice");
    alice.type_line("Is anyone here?");
    alice.wait_for_line("✓ sent 1");
    let mut bob = join("bob");
    bob.wait_for_line("alice: Is anyone here?");
    alice.wait_for_line("* bob joined");
    bob.type_line("I am");
    let mut carol = join("carol");
    carol.wait_for_line("bob: I am");
    for chat in [&mut alice, &mut bob] {
        chat.wait_for_line("* carol joined");
    }
    carol.type_line("Me too");
    for chat in [&mut alice, &mut bob, &mut carol] {
        chat.wait_for_line("carol: Me too");
        let messages = ["alice: Is anyone here?", "bob: I am", "carol: Me too"];
        assert_eq!(chat.messages(), messages, "each once, in order");
    }
    assert_eq!(app.remove_member("general", "carol").await.status, 204);
    assert_eq!(carol.wait_for_exit().code(), Some(1));
    carol.wait_for_line("duologue: you are no longer a member of the room");
    for chat in [&mut alice, &mut bob] {
        chat.wait_for_line("* carol left");
        assert!(chat.end_input().success(), "{:?}", chat.shown);
    }
    // The tick of a room tells that the message is stored; there are no others.
    let ticks = alice.shown.iter().filter(|line| line.starts_with('✓'));
    assert_eq!(ticks.collect::<Vec<_>>(), ["✓ sent 1"]);
    assert_eq!(app.badge("alice").await, [0, 0], "what is shown is read");
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn a_room_loses_and_repeats_nothing_when_the_service_restarts() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), RedisServer::durable());
    let first = start_service(&dir, &redis, None);
    let address = first.address.clone();
    let mut service = Some(first);
    let mut chats = ["alice", "bob"].map(|user| ChatProcess::join(&address, user, "general"));
    chat_with_interruptions(&mut chats, |round, while_down| {
        let mut running = service.take().unwrap();
        if round == 1 {
            running.signal(Signal::TERM);
            running.wait_for_exit(Duration::from_secs(20));
        }
        drop(running);
        while_down();
        service = Some(start_service(&dir, &redis, Some(&address)));
    });
    let joined = chats[0].shown.iter().filter(|line| *line == "* bob joined");
    assert!(joined.count() <= 1, "{:?}", chats[0].shown);
}

#[tokio::test]
async fn a_piped_file_is_sent_to_a_room() {
    let app = spawn_app();
    let mut alice = ChatProcess::join(&app.address, "alice", "general");
    for n in 1..=100 {
        alice.type_line(&format!("no {n}"));
    }
    assert!(alice.end_input().success(), "{:?}", alice.shown);
    let sent: Vec<_> = (1..=100).map(|n| format!("alice: no {n}")).collect();
    assert_eq!(alice.messages(), sent);
    assert_eq!(app.peek("alice", "room:general").await["last_seq"], 100);
}

#[tokio::test]
async fn a_token_creates_joins_and_is_refused_a_room() {
    let app = spawn_secured_app();
    let join = |user: &str, room| {
        let variables = [("DUOLOGUE_TOKEN", &*token(user))];
        ChatProcess::join_with(&app.address, user, room, &variables)
    };
    let mut alice = join("alice", "general");
    alice.type_line("Hello");
    alice.wait_for_line("✓ sent 1");
    let mut bob = join("bob", "general");
    bob.wait_for_line("alice: Hello");
    let room = app
        .get_as(&token("alice"), "/rooms/general")
        .await
        .json(200);
    assert_eq!(
        (&room["join"], &room["membership"]["role"]),
        (&json!("open"), &json!("admin"))
    );
    let room = app.get_as(&token("bob"), "/rooms/general").await.json(200);
    assert_eq!(room["membership"]["role"], "member");

    // Nobody can join a room by invitation, which does not exist for others.
    let board = json!({"join": "invited", "admins": ["carol"]});
    let made = app.by(By::Backend, "PUT", "/rooms/board", Some(&board));
    made.await.json(201);
    let mut alice = join("alice", "board");
    assert_eq!(alice.wait_for_exit().code(), Some(1));
    assert_eq!(alice.shown.len(), 1, "{:?}", alice.shown);
    let refusal = "duologue: the service answered 404: ";
    assert!(alice.shown[0].starts_with(refusal), "{:?}", alice.shown);
}

#[test]
fn a_chat_is_with_a_user_or_in_a_room() {
    let refusal = |arguments: &[&str]| {
        let mut command = service_process::command();
        let output = service_process::output(command.args(["chat", "--as", "a"]).args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let shown = String::from_utf8(output.stderr).unwrap();
        shown.lines().next().unwrap().to_owned()
    };
    let both = refusal(&["--with", "bob", "--room", "general"]);
    let exclusive = "the argument '--with <USER>' cannot be used with '--room <ROOM>'";
    assert_eq!(both, format!("error: {exclusive}"));
    let neither = refusal(&[]);
    assert_eq!(
        neither,
        "error: the following required arguments were not provided:"
    );
    let invalid = refusal(&["--room", "a b"]);
    assert!(
        invalid.contains("'--room <ROOM>': must have 1 to 255"),
        "{invalid}"
    );
}
