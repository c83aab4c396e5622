//! asyncapi.yaml describes every message of the WebSocket, with examples that are real messages.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use duologue::http::asyncapi;
use duologue::protocol::{ClientMessage, CloseReason, ServerMessage};
use serde_json::{Value, json};

use super::openapi::operations;

static DOCUMENT: LazyLock<Value> = LazyLock::new(asyncapi);

/// What a reference of the document points to.
fn resolved(reference: &Value) -> &'static Value {
    let target = reference["$ref"].as_str().unwrap();
    let value = DOCUMENT.pointer(target.trim_start_matches('#'));
    value.unwrap_or_else(|| panic!("no {target}"))
}

/// The messages of all operations with this action: the `type` and the first example of each.
fn messages(action: &str) -> Vec<(String, &'static Value)> {
    let operations = DOCUMENT["operations"].as_object().unwrap().values();
    let operations = operations.filter(|operation| operation["action"] == action);
    let references = operations.flat_map(|operation| operation["messages"].as_array().unwrap());
    let messages = references.map(|reference| resolved(resolved(reference)));
    messages
        .map(|message| {
            let kind = message["name"].as_str().unwrap().to_owned();
            (kind, &message["examples"][0]["payload"])
        })
        .collect()
}

#[test]
fn every_reference_of_asyncapi_yaml_has_a_target() {
    fn check(value: &'static Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(check).sum(),
            Value::Object(members) => {
                let is_reference = members.contains_key("$ref");
                if is_reference {
                    resolved(value);
                }
                usize::from(is_reference) + members.values().map(check).sum::<usize>()
            }
            _ => 0,
        }
    }
    assert!(check(&DOCUMENT) > 100);
}

#[test]
fn the_examples_of_commands_are_commands() {
    let commands = messages("receive");
    let kinds: Vec<_> = commands.iter().map(|(kind, _)| kind.as_str()).collect();
    let all = [
        "delivered",
        "ping",
        "read",
        "send",
        "token",
        "typing",
        "unwatch",
        "watch",
    ];
    assert_eq!(kinds, all);
    for (kind, example) in commands {
        assert_eq!(example["type"], kind);
        let parsed = ClientMessage::parse(&example.to_string());
        let parsed = parsed.unwrap_or_else(|(_, error)| panic!("{example}: {error:?}"));
        assert_eq!(json!(parsed), *example);
    }
}

#[test]
fn the_examples_of_the_services_messages_are_its_messages() {
    let mut sent = messages("send");
    for answer in ["AckMessage", "ErrorMessage"] {
        let message = &DOCUMENT["components"]["messages"][answer];
        let kind = message["name"].as_str().unwrap().to_owned();
        sent.push((kind, &message["examples"][0]["payload"]));
    }
    // `hello`, `ack`, `error`, eleven events of the user and eight of rooms.
    assert_eq!(sent.len(), 22);
    for (kind, example) in sent {
        assert_eq!(example["type"], kind);
        let message: ServerMessage = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(json!(message), *example);
    }
}

#[test]
fn every_command_has_its_answers_correlated_by_ref() {
    let all = DOCUMENT["operations"].as_object().unwrap().values();
    for operation in all.filter(|operation| operation["action"] == "receive") {
        let answers = operation["reply"]["messages"].as_array().unwrap();
        assert_eq!(answers.len(), 2, "{operation}");
        for message in answers
            .iter()
            .chain(operation["messages"].as_array().unwrap())
        {
            let message = resolved(resolved(message));
            let location = &resolved(&message["correlationId"])["location"];
            assert_eq!(*location, "$message.payload#/ref");
            let payload = resolved(&message["payload"]);
            assert!(payload["properties"]["ref"].is_object(), "{payload}");
        }
    }
}

#[test]
fn the_channel_has_the_handshake_of_the_operation() {
    let channel = &DOCUMENT["channels"]["socket"];
    assert_eq!(channel["address"], "/ws");
    let query = channel["bindings"]["ws"]["query"]["properties"].as_object();
    let (_, _, handshake) = operations()
        .into_iter()
        .find(|(_, path, _)| path == "/ws")
        .unwrap();
    let parameters = handshake["parameters"].as_array().unwrap().iter();
    let names: BTreeSet<_> = parameters.map(|p| p["name"].as_str().unwrap()).collect();
    let documented: BTreeSet<_> = query.unwrap().keys().map(String::as_str).collect();
    assert_eq!(documented, names);
    let text = channel["description"].as_str().unwrap();
    for reason in CloseReason::ALL.iter().filter(|reason| reason.is_sent()) {
        assert!(text.contains(&reason.code().to_string()), "{reason:?}");
    }
}
