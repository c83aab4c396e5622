//! The schemas of live messages: unions that generators of clients can follow, and whose members
//! are those of real messages.

use std::collections::BTreeMap;

use duologue::protocol::{ClientMessage, CloseReason, ServerMessage};
use reqwest::Method;
use serde_json::{Value, json};

use super::openapi::{compare_all, contract};
use crate::harness::live::device::Device;
use crate::harness::live::event_stream::EventStream;
use crate::harness::live::test_session::{Action, NOON, TestSession};
use crate::harness::live::watcher::watcher;
use crate::harness::source_tree::root;
use crate::harness::{TestApp, spawn_app};

/// The messages of a union: each `type` and the name of its schema.
fn messages_of(union: &str) -> BTreeMap<String, String> {
    let schema = &contract()["components"]["schemas"][union];
    let mapping = schema["discriminator"]["mapping"].as_object().unwrap();
    let name = |reference: &Value| {
        reference
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let messages = mapping
        .iter()
        .map(|(tag, reference)| (tag.clone(), name(reference)));
    messages.collect()
}

#[test]
fn each_union_tells_its_messages_apart_by_type() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    for (union, count) in [
        ("Event", 11),
        ("RoomEvent", 8),
        ("ServerMessage", 15),
        ("ClientMessage", 8),
    ] {
        let messages = messages_of(union);
        assert_eq!(messages.len(), count, "{union}");
        assert_eq!(schemas[union]["discriminator"]["propertyName"], "type");
        let one_of = schemas[union]["oneOf"].as_array().unwrap();
        assert_eq!(one_of.len(), count, "{union}");
        for (kind, name) in messages {
            let reference = json!({"$ref": format!("#/components/schemas/{name}")});
            assert!(one_of.contains(&reference), "{name}");
            let tag = &schemas[&name]["properties"]["type"]["enum"];
            assert_eq!(*tag, json!([kind]));
            assert!(schemas[&name]["description"].is_string(), "{name}");
        }
    }
}

/// Causes every message of the service to bob, and collects the messages.
async fn everything(app: &TestApp) -> Vec<Value> {
    let mut bob = Device::connect(app, "bob").await;
    let mut messages = vec![bob.hello.clone()];
    // That of a connection with a token.
    if let [Action::Hello(hello)] = &TestSession::open(None, Some(NOON)).actions()[..] {
        messages.push(hello.clone());
    }
    app.send("alice", "bob", "hi").await;
    let alice = Device::connect(app, "alice").await;
    let came = |event: &Value| event["type"] == "presence.changed";
    messages.extend(bob.events_until(came).await);
    app.edit("alice", "bob", 1, &json!({"body": "hello"})).await;
    app.mark_read("alice", "bob", 1).await;
    app.delete("alice", "bob", 1).await;
    let command = |kind: &str| json!({"type": kind, "peer": "bob", "seq": 1});
    let mut alice = alice;
    for command in [
        command("delivered"),
        json!({"type": "typing", "peer": "bob"}),
        json!({"type": "send", "to": "bob", "body": "again"}),
    ] {
        messages.push(alice.ask(&command).await);
    }
    messages.push(alice.ask(&json!({"type": "ping"})).await);
    messages.push(alice.ask(&json!({"type": "send"})).await);
    let room = json!({"admins": ["bob"], "members": ["alice"]});
    app.set_room("general", &room).await.json(201);
    let watch = json!({"type": "watch", "room": "general"});
    messages.push(alice.ask(&watch).await);
    assert_eq!(app.remove_member("general", "alice").await.status, 204);
    let left = |event: &Value| event["type"] == "room.left";
    messages.extend(bob.events_until(left).await);
    let muted = app
        .request(Method::PUT, "/conversations/bob/alice/mute")
        .await;
    muted.json(200);
    let changed = |event: &Value| event["type"] == "conversation.changed";
    messages.extend(bob.events_until(changed).await);
    let mut stream = EventStream::open(app, "bob", Some("1-1")).await;
    messages.push(stream.next().await);
    let reason = CloseReason::Restart.reason().to_owned();
    let close = ServerMessage::Close { reason }.to_json();
    messages.push(serde_json::from_str(&close).unwrap());
    messages
}

#[tokio::test]
async fn messages_hold_exactly_what_their_schemas_declare() {
    let app = spawn_app();
    let messages = everything(&app).await;
    for (kind, schema) in messages_of("ServerMessage") {
        let of_kind: Vec<_> = messages.iter().filter(|m| m["type"] == *kind).collect();
        assert!(!of_kind.is_empty(), "no {kind} was sent");
        compare_all(&schema, &of_kind);
    }
}

#[tokio::test]
async fn events_of_rooms_hold_exactly_what_their_schemas_declare() {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    let (mut eve, _) = watcher(&app, "eve", "general").await;
    app.send("alice", "room:general", "hi").await;
    let edit = json!({"body": "hello"});
    app.edit("alice", "room:general", 1, &edit).await;
    app.delete("alice", "room:general", 1).await;
    let typing = "/conversations/alice/room:general/typing";
    app.request(Method::POST, typing).await;
    app.set_member("general", "bob", "member").await;
    app.set_member("general", "bob", "admin").await;
    app.remove_member("general", "bob").await;
    let settings = json!({"join": "open", "title": "General"});
    app.set_room("general", &settings).await;
    app.delete_room("general").await;
    let is_end = |event: &Value| event["type"] == "unwatched";
    let events = eve.events_until(is_end).await;
    for (kind, schema) in messages_of("RoomEvent") {
        let of_kind: Vec<_> = events.iter().filter(|m| m["type"] == *kind).collect();
        assert!(!of_kind.is_empty(), "no {kind} was sent");
        compare_all(&schema, &of_kind);
    }
}

#[test]
fn commands_hold_exactly_what_their_schemas_declare() {
    let commands = [
        json!({"type": "send", "from": "alice", "to": "room:general", "body": "hi", "reply_to": 1,
            "mentions": ["bob"],
            "attachments": [{"url": "https://files.example.com/menu.jpg"}], "metadata": {"a": 1},
            "client_id": "c", "idempotency_key": "k", "expires_in": 60}),
        json!({"type": "read", "peer": "bob", "seq": 1, "private": true}),
        json!({"type": "delivered", "peer": "bob", "seq": 1}),
        json!({"type": "typing", "peer": "bob"}),
        json!({"type": "watch", "room": "general", "after": "1768564800000000-1768564800123456"}),
        json!({"type": "unwatch", "room": "general"}),
        json!({"type": "ping"}),
        json!({"type": "token", "token": "a.b.c"}),
    ];
    let schemas = messages_of("ClientMessage");
    assert_eq!(schemas.len(), commands.len());
    for command in commands {
        let kind = command["type"].as_str().unwrap();
        let mut message = command.clone();
        message["ref"] = json!("1");
        compare_all(&schemas[kind], &[&message]);
        let parsed = ClientMessage::parse(&message.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&parsed).unwrap(), message);
        message["unknown"] = json!(1);
        assert!(ClientMessage::parse(&message.to_string()).is_err());
        let schema = &contract()["components"]["schemas"][&schemas[kind]];
        assert_eq!(schema["additionalProperties"], false, "{kind}");
    }
}

#[test]
fn the_page_on_live_lists_every_close_code() {
    let page = std::fs::read_to_string(root().join("docs/live.md")).unwrap();
    for reason in CloseReason::ALL.iter().filter(|reason| reason.is_sent()) {
        let row = format!("| {} |", reason.code());
        let row = page.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("no row for {reason:?}"));
        let named = row.contains(&format!("`{}`", reason.reason()));
        assert!(named, "{row} does not name the reason of {reason:?}");
    }
}
