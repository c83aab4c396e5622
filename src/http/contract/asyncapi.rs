//! `asyncapi.yaml`: the messages of the WebSocket (AsyncAPI 3.0). Their schemas are those of the OpenAPI
//! document, which are JSON Schema.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{OpenApi, RefOr};

use super::message_schemas::MessageSchemas;
use super::openapi;
use crate::http::live::websocket::PROTOCOL;
use crate::protocol::CloseReason;

/// The channel of the WebSocket.
const CHANNEL: &str = "#/channels/socket";

/// The messages that answer a command.
const ANSWERS: [&str; 2] = ["AckMessage", "ErrorMessage"];

/// The AsyncAPI document as YAML: the content of `asyncapi.yaml` in the repository.
///
/// # Panics
/// Never: the document is plain data.
#[allow(clippy::expect_used)]
pub fn asyncapi_yaml() -> String {
    yaml_serde::to_string(&asyncapi()).expect("the document is plain data")
}

/// The AsyncAPI document.
pub fn asyncapi() -> Value {
    let openapi = openapi();
    let schemas = MessageSchemas::of(&openapi);
    let commands = schemas.union("ClientMessage");
    let mut answers_and_events = schemas.union("ServerMessage");
    // A WebSocket has a close frame for it.
    answers_and_events.remove("close");
    let room_events = schemas.union("RoomEvent");
    let all: Vec<_> = commands
        .iter()
        .chain(&answers_and_events)
        .chain(&room_events)
        .collect();
    let names: Vec<_> = all.iter().map(|(_, name)| name.as_str()).collect();
    let messages: Map<_, _> = all
        .iter()
        .map(|(kind, name)| ((*name).clone(), schemas.message(kind, name)))
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": info(&openapi),
        "defaultContentType": "application/json",
        "servers": {"service": {
            "host": "localhost:8080",
            "protocol": "ws",
            "description": "This service; `wss` with TLS.",
            "security": [
                {"$ref": "#/components/securitySchemes/bearer"},
                {"$ref": "#/components/securitySchemes/subprotocol"},
                {"$ref": "#/components/securitySchemes/ticket"},
            ],
        }},
        "channels": {"socket": channel(&openapi, &names)},
        "operations": operations(&schemas, &commands, &answers_and_events, &room_events),
        "components": {
            "messages": messages,
            "schemas": schemas.reachable(&names),
            "correlationIds": {"ref": {
                "description": "The `ref` of a command, which its answer repeats.",
                "location": "$message.payload#/ref",
            }},
            "securitySchemes": security_schemes(&openapi),
        },
    })
}

fn info(openapi: &OpenApi) -> Value {
    json!({
        "title": openapi.info.title,
        "version": openapi.info.version,
        "description": "The WebSocket of Duologue, messaging for the backends of mobile apps, one-to-one and in \
            rooms: events of a user and of watched rooms, and commands of the client. `openapi.yaml` describes \
            the HTTP operations, `docs/live.md` what a client does with each event. Later versions may add \
            types of messages and members: a client ignores those that it does not know.",
        "contact": {"name": "The developers of Duologue"},
        "license": {"name": "MIT"},
    })
}

fn channel(openapi: &OpenApi, messages: &[&str]) -> Value {
    let messages: Map<_, _> = messages
        .iter()
        .map(|name| {
            let target = format!("#/components/messages/{name}");
            ((*name).to_owned(), json!({"$ref": target}))
        })
        .collect();
    let closes = CloseReason::ALL.iter().filter(|reason| reason.is_sent());
    let closes: Vec<_> = closes
        .map(|reason| {
            let (code, name) = (reason.code(), reason.reason());
            format!("* {code} `{name}`: {}", reason.meaning())
        })
        .collect();
    json!({
        "address": "/ws",
        "title": "WebSocket",
        "description": format!(
            "A connection of a user (RFC 6455). Every message is a JSON object in a text message; the first is \
            `hello`. Events follow, resumed after `cursor`. Commands are executed one after another. Close \
            codes and reasons:\n\n{}", closes.join("\n")
        ),
        "servers": [{"$ref": "#/servers/service"}],
        "messages": messages,
        "bindings": {"ws": {
            "method": "GET",
            "query": query(openapi),
            "headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": {
                "type": "string",
                "description": "The subprotocol, and `bearer.<token>` from pages, which cannot set headers.",
                "examples": [PROTOCOL, format!("{PROTOCOL}, bearer.<token>")],
            }}},
            "bindingVersion": "0.1.0",
        }},
    })
}

/// The query parameters of the handshake, which is an operation of the OpenAPI document.
fn query(openapi: &OpenApi) -> Value {
    let handshake = openapi.paths.paths.get("/ws");
    let handshake = handshake.and_then(|path| path.get.as_ref());
    let parameters = handshake.and_then(|operation| operation.parameters.as_ref());
    let members = parameters.into_iter().flatten().filter_map(|parameter| {
        let RefOr::T(parameter) = parameter else {
            return None;
        };
        let mut schema = json!(parameter.schema);
        schema["description"] = json!(parameter.description);
        Some((parameter.name.clone(), schema))
    });
    json!({"type": "object", "properties": members.collect::<Map<_, _>>(), "additionalProperties": false})
}

/// One operation per command, and those of the messages that answer no command.
fn operations(
    schemas: &MessageSchemas,
    commands: &BTreeMap<String, String>,
    others: &BTreeMap<String, String>,
    room_events: &BTreeMap<String, String>,
) -> Value {
    let commands = commands.iter();
    let commands = commands.map(|(kind, name)| (kind.clone(), execute_command(schemas, name)));
    let mut operations: Map<_, _> = commands.collect();
    let hello = "HelloMessage";
    let is_event = |name: &&str| !ANSWERS.contains(name) && *name != hello;
    let others = others.values().map(String::as_str).filter(is_event);
    let rooms = send_messages(
        "Events of rooms",
        "The events of the rooms that the connection watches.",
        "They have a member `room`, which tells them apart from the events of the user, and `cursor` \
            and `prev` are positions in the events of this room. After the `ack` of a `watch`, every event after its \
            `cursor` follows in order.",
        room_events.values().map(String::as_str),
    );
    let welcome = send_messages(
        "Hello",
        schemas.description(hello),
        "Its `cursor` is the position at which the stream starts.",
        [hello],
    );
    let stream = send_messages(
        "Events",
        "The events of the user.",
        "Every event after the `cursor` of `hello`, in order. A client keeps the `cursor` of the \
            last event that it has processed, and reconnects with it.",
        others,
    );
    operations.insert("room_events".to_owned(), rooms);
    operations.insert("hello".to_owned(), welcome);
    operations.insert("events".to_owned(), stream);
    operations.into()
}

/// The operation that sends messages which answer no command.
fn send_messages<'a>(
    title: &str,
    summary: impl Serialize,
    description: &str,
    messages: impl IntoIterator<Item = &'a str>,
) -> Value {
    json!({
        "action": "send",
        "channel": {"$ref": CHANNEL},
        "title": title,
        "summary": summary,
        "description": description,
        "messages": messages.into_iter().map(of_channel).collect::<Vec<_>>(),
    })
}

/// The operation that a command requests.
fn execute_command(schemas: &MessageSchemas, name: &str) -> Value {
    json!({
        "action": "receive",
        "channel": {"$ref": CHANNEL},
        "title": name,
        "summary": schemas.description(name),
        "description": "Answered by a message with the same `ref`: `ack`, or `error` if it is refused. Without a \
            `ref` only an `error`, and the `ack` of a `ping`, is sent.",
        "messages": [of_channel(name)],
        "reply": {"channel": {"$ref": CHANNEL}, "messages": ANSWERS.map(of_channel)},
    })
}

/// A reference to a message of the channel.
fn of_channel(message: &str) -> Value {
    json!({"$ref": format!("{CHANNEL}/messages/{message}")})
}

fn security_schemes(openapi: &OpenApi) -> Value {
    let schemes = openapi.components.as_ref();
    let bearer = schemes.and_then(|components| components.security_schemes.get("bearer"));
    json!({
        "bearer": bearer,
        "subprotocol": {
            "type": "httpApiKey", "in": "header", "name": "Sec-WebSocket-Protocol",
            "description": "For pages: the token of a user as a second subprotocol, `bearer.<token>`.",
        },
        "ticket": {
            "type": "httpApiKey", "in": "query", "name": "ticket",
            "description": "For pages: a ticket of `POST /tickets`, valid for one connection.",
        },
    })
}
