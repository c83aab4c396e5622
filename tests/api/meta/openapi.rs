//! openapi.yaml is generated from the code, complete, and matches the responses.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use duologue::http::{asyncapi_yaml, openapi, openapi_yaml};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::archive::url_of;
use crate::harness::source_tree::root;
use crate::harness::store::rooms::create_room;
use crate::harness::{spawn_app, spawn_app_with};

const UPDATE: &str = "UPDATE_OPENAPI=1 cargo test --test api meta::openapi";

pub fn contract() -> &'static Value {
    static CONTRACT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(openapi()).unwrap());
    &CONTRACT
}

/// Method, path and definition of every operation. References to responses are resolved.
pub fn operations() -> Vec<(String, String, Value)> {
    let contract = contract();
    let paths = contract["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, op)| (method.clone(), path.clone(), with_responses(op)))
    });
    all.collect()
}

fn with_responses(operation: &Value) -> Value {
    let mut operation = operation.clone();
    for response in operation["responses"].as_object_mut().unwrap().values_mut() {
        if let Some(reference) = response["$ref"].as_str() {
            let target = contract().pointer(reference.trim_start_matches('#'));
            *response = target.unwrap_or_else(|| panic!("no {reference}")).clone();
        }
    }
    operation
}

#[test]
fn problem_responses_are_declared_once() {
    let contract = contract();
    let shared = contract["components"]["responses"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for item in contract["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for response in operation["responses"].as_object().unwrap().values() {
                let inline = response["content"].get("application/problem+json");
                assert_eq!(inline, None, "{}", operation["operationId"]);
                used.extend(response["$ref"].as_str());
            }
        }
    }
    let names = used
        .iter()
        .map(|reference| reference.rsplit('/').next().unwrap());
    assert!(names.eq(shared.keys()), "{used:?}");
    // Some generators make a type of each response and of each schema.
    let schemas = contract["components"]["schemas"].as_object().unwrap();
    assert!(shared.keys().all(|name| !schemas.contains_key(name)));
    let distinct: BTreeSet<_> = shared.values().map(Value::to_string).collect();
    assert_eq!(distinct.len(), shared.len(), "two names for one response");
}

#[test]
fn free_objects_are_declared_as_maps() {
    let schemas = contract()["components"]["schemas"].as_object().unwrap();
    for name in ["Metadata", "ConversationMetadata", "AttachmentMetadata"] {
        assert_eq!(schemas[name]["additionalProperties"], true, "{name}");
    }
    let users = json!({"type": "array", "items": {"$ref": "#/components/schemas/UserId"}});
    for name in ["Message", "ImportLine"] {
        let reactions = &schemas[name]["properties"]["reactions"];
        assert_eq!(reactions["additionalProperties"], users, "{name}");
    }
}

#[test]
fn the_contract_is_what_the_code_generates() {
    let files = [
        ("openapi.yaml", openapi_yaml()),
        ("asyncapi.yaml", asyncapi_yaml()),
    ];
    for (name, generated) in files {
        let file = root().join(name);
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&file, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == generated,
            "{name} is not what the code generates; run: {UPDATE}"
        );
    }
}

#[test]
fn every_operation_is_described() {
    for (method, path, op) in operations() {
        for member in ["summary", "description", "operationId"] {
            let text = op[member].as_str().unwrap_or_default();
            assert!(!text.trim().is_empty(), "{method} {path} has no {member}");
        }
        assert!(op["tags"].is_array(), "{method} {path} has no tag");
        for parameter in op["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string(),
                "{method} {path} {parameter}"
            );
        }
        for (status, response) in op["responses"].as_object().unwrap() {
            assert!(
                response["description"].is_string(),
                "{method} {path} {status}"
            );
        }
    }
}

#[test]
fn every_body_has_an_example() {
    let contract = contract();
    let has_example = |content: &Value| {
        let schema = content["schema"]["$ref"].as_str().unwrap_or_default();
        let schema = contract
            .pointer(schema.trim_start_matches('#'))
            .unwrap_or(&Value::Null);
        let of_members = schema["properties"].as_object().is_some_and(|members| {
            members.values().all(|m| {
                m.get("example").is_some() || m["type"] == "boolean" || m["type"] == "array"
            })
        });
        content.get("example").is_some() || content.get("examples").is_some() || of_members
    };
    for (method, path, op) in operations() {
        let responses = op["responses"].as_object().unwrap().values();
        for body in responses.chain(op.get("requestBody")) {
            for (media_type, content) in body["content"].as_object().into_iter().flatten() {
                assert!(
                    has_example(content),
                    "{method} {path} {media_type}: {content}"
                );
            }
        }
    }
}

fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(reference) => contract()
            .pointer(reference.trim_start_matches('#'))
            .unwrap(),
        None => schema,
    }
}

/// Asserts that a value has all members that its schema requires, at every depth.
fn assert_required_members(schema: &Value, value: &Value) {
    let schema = resolved(schema);
    for item in value.as_array().into_iter().flatten() {
        assert_required_members(&schema["items"], item);
    }
    let Some(members) = value.as_object() else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            members.contains_key(name.as_str().unwrap()),
            "{name} of {value}"
        );
    }
    for (name, member) in members {
        assert_required_members(&schema["properties"][name], member);
    }
}

#[test]
fn examples_have_all_required_members() {
    for (_, _, op) in operations() {
        let responses = op["responses"].as_object().unwrap().values();
        for body in responses.chain(op.get("requestBody")) {
            for content in body["content"]
                .as_object()
                .into_iter()
                .flat_map(Map::values)
            {
                let examples = content["examples"].as_object().into_iter();
                let examples = examples.flat_map(Map::values).map(|named| &named["value"]);
                for example in examples.chain(content.get("example")) {
                    assert_required_members(&content["schema"], example);
                }
            }
        }
    }
}

/// The property names that a schema declares, and those it requires.
fn declared(schema: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let schema = resolved(schema);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let required = schema["required"].as_array().into_iter().flatten();
    (
        properties.map(|(name, _)| name.clone()).collect(),
        required
            .map(|name| name.as_str().unwrap().to_owned())
            .collect(),
    )
}

/// Compares the members of several objects with the properties of a schema.
pub fn compare_all(schema: &str, objects: &[&Value]) {
    let schema = &contract()["components"]["schemas"][schema];
    let names = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let found: BTreeSet<_> = objects.iter().flat_map(|object| names(object)).collect();
    let (properties, required) = declared(schema);
    assert_eq!(found, properties, "{schema}");
    for name in required {
        for object in objects {
            assert!(object.get(&name).is_some(), "{name} of {object}");
        }
    }
}

fn compare(schema: &str, object: &Value) {
    compare_all(schema, &[object]);
}

#[tokio::test]
async fn responses_hold_exactly_the_fields_of_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let app = spawn_app_with(&["--archive", &url_of(folder.path())]);
    let attachment = json!({
        "url": "https://files.example.com/menu.jpg", "mime_type": "image/jpeg", "name": "menu.jpg",
        "size": 48213, "width": 1024, "height": 768, "duration_ms": 0, "metadata": {"a": 1},
    });
    app.send("bob", "alice", "Lunch?").await;
    let everything = json!({
        "from": "alice", "to": "bob", "body": "The menu", "reply_to": 1, "attachments": [attachment],
        "metadata": {"mood": "hungry"}, "client_id": "c", "expires_in": 60,
    });
    let sent = app.post(&everything).await.json(201);
    let edit = json!({"body": "Menu", "attachments": [attachment], "metadata": {}});
    app.edit("alice", "bob", 2, &edit).await.json(200);
    let thumb = app.react(Method::PUT, ["bob", "alice"], 2, "👍").await;
    let tombstone = app.delete("bob", "alice", 1).await.json(200);
    create_room(&mut app.redis(), "general", &["bob"]);
    let to_room = json!({"from": "bob", "to": "room:general", "body": "@bob", "mentions": ["bob"]});
    let mention = app.post(&to_room).await.json(201);
    compare_all("Message", &[&sent, &thumb.json(200), &tombstone, &mention]);
    compare("Attachment", &sent["attachments"][0]);
    compare("AttachmentInput", &everything["attachments"][0]);
    compare_all("MessageInput", &[&everything, &to_room]);
    compare("Edit", &edit);
    let page = app.read("bob", "alice").await;
    let of_room = app.read("bob", "room:general").await;
    compare_all("Conversation", &[&page, &of_room]);
    compare("RoomSummary", &of_room["room"]);
    let state = app.mark_read("bob", "alice", 1).await;
    let of_room = app.mark_read("bob", "room:general", 1).await;
    compare_all("ConversationState", &[&state, &of_room]);
    let inbox = app.inbox("bob", "").await;
    compare("Inbox", &inbox);
    compare_all("ConversationState", &[&inbox["conversations"][0], &of_room]);
    let totals = app.get("/users/bob/unread").await.json(200);
    compare("UnreadTotals", &totals);
    let unread = app.get("/unread?users=bob").await.json(200);
    compare("UnreadOfUsers", &unread);
    compare("UserUnread", &unread["users"][0]);
    let marked = app.request(Method::POST, "/users/bob/read").await;
    compare("MarkedRead", &marked.json(200));
    compare("Alive", &app.get("/healthz").await.json(200));
    let readiness = app.get("/readyz").await.json(200);
    compare("Readiness", &readiness);
    compare("RedisHealth", &readiness["redis"][0]);
    compare("ArchiveHealth", &readiness["archive"]);
    let problem = app.post(&json!({})).await.any_problem();
    let late = r#"{"from":"alice","to":"bob","body":"x","sent_at":"2019-01-31T12:00:00Z"}"#;
    let headers = [("content-type", "application/x-ndjson")];
    let conflict = app.call_text("POST", "/messages/batch", &headers, late.to_owned());
    let conflict = conflict.await.any_problem();
    compare_all("Problem", &[&problem, &conflict]);
    compare("ProblemField", &problem["errors"][0]);
}

#[tokio::test]
async fn examples_work_when_pasted() {
    let app = spawn_app();
    let contract = contract();
    let body =
        &contract["paths"]["/messages"]["post"]["requestBody"]["content"]["application/json"];
    for (name, example) in body["examples"].as_object().unwrap() {
        let sent = app.post(&example["value"]).await;
        assert_eq!(sent.status, 201, "{name}: {}", sent.text);
    }
}
