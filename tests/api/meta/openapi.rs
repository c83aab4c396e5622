//! openapi.yaml is generated from the code, complete, and matches the responses.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use duologue::http::{openapi, openapi_yaml};
use duologue::store::{RetrySafety, SCRIPTS, Script};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::source_tree::{files, root};
use crate::harness::spawn_app;

const UPDATE: &str = "UPDATE_OPENAPI=1 cargo test --test api openapi";

pub fn contract() -> &'static Value {
    static CONTRACT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(openapi()).unwrap());
    &CONTRACT
}

/// Method, path and definition of every operation.
pub fn operations() -> Vec<(String, String, Value)> {
    let contract = contract();
    let paths = contract["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, op)| (method.clone(), path.clone(), op.clone()))
    });
    all.collect()
}

#[test]
fn openapi_yaml_is_what_the_code_generates() {
    let file = root().join("openapi.yaml");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, openapi_yaml()).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == openapi_yaml(),
        "openapi.yaml is not what the code generates; run: {UPDATE}"
    );
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

#[test]
fn every_operation_lists_the_errors_it_can_give() {
    let always = |op: &Value, store: bool, writes: bool| {
        let mut codes = BTreeSet::new();
        if op.get("requestBody").is_some() {
            codes.extend([
                "INVALID_REQUEST",
                "MALFORMED_JSON",
                "PAYLOAD_TOO_LARGE",
                "REQUEST_TIMEOUT",
            ]);
            codes.insert("UNSUPPORTED_MEDIA_TYPE");
        }
        if op.get("parameters").is_some() {
            codes.insert("INVALID_REQUEST");
        }
        if store {
            codes.extend(["INTERNAL", "UNAVAILABLE"]);
        }
        if writes {
            codes.insert("OUTCOME_UNKNOWN");
        }
        codes
    };
    for (method, path, op) in operations() {
        let id = op["operationId"].as_str().unwrap();
        let responses = op["responses"].as_object().unwrap();
        let documented: BTreeSet<_> = responses
            .values()
            .filter_map(|r| r["content"]["application/problem+json"]["examples"].as_object())
            .flat_map(|examples| examples.keys().map(String::as_str))
            .collect();
        let store = !store_calls(id).is_empty();
        let writes = store_calls(id).iter().any(|call| !only_reads(call));
        for code in always(&op, store, writes) {
            assert!(
                documented.contains(code),
                "{method} {path} does not document {code}"
            );
        }
        for (status, response) in responses
            .iter()
            .filter(|(status, _)| status.as_str() >= "400")
        {
            let examples = response["content"]["application/problem+json"]["examples"].as_object();
            for (code, example) in examples.unwrap() {
                assert_eq!(example["value"]["code"], **code);
                assert_eq!(example["value"]["status"].to_string(), *status);
            }
        }
    }
}

/// The script of an operation, if it has one.
fn script(operation: &str) -> Option<&'static Script> {
    SCRIPTS
        .iter()
        .copied()
        .find(|script| script.name == operation)
}

fn sources(folder: &str) -> String {
    files(folder, "rs").into_values().collect()
}

/// Whether a method of the store changes no data; a charge against a rate limit does not count.
fn only_reads(method: &str) -> bool {
    let reads = |script: &Script| script.retry == RetrySafety::ReadsOnly;
    method == "charge_rate" || script(method).is_some_and(reads)
}

/// Handlers without an operation: what they answer does not depend on the caller, or, of a
/// WebSocket, is asked for later.
const WITHOUT_OPERATION: [&str; 4] = [
    "check_health",
    "open_socket",
    "read_openapi_json",
    "read_openapi_yaml",
];

/// The body of a public function somewhere below a folder, without white space, since the formatter
/// may break lines within a call.
fn body(folder: &str, function: &str) -> Option<String> {
    let sources = sources(folder);
    let starts = ["pub async fn ", "pub fn "].map(|start| format!("{start}{function}("));
    let (before, rest) = starts.iter().find_map(|start| sources.split_once(start))?;
    let indent = before.rsplit('\n').next().unwrap_or_default();
    let body = rest.split(&format!("\n{indent}}}\n")).next()?;
    Some(body.split_whitespace().collect())
}

/// The methods that a body calls on a receiver.
fn calls(body: &str, receiver: &str) -> Vec<String> {
    let calls = body.split(receiver).skip(1);
    calls
        .map(|call| call.split('(').next().unwrap().to_owned())
        .collect()
}

/// The methods of the store that an operation calls.
fn store_calls(operation: &str) -> Vec<String> {
    let body = body("src/operations", operation).unwrap_or_default();
    calls(&body, "self.store.")
}

#[test]
fn handler_operation_store_and_script_share_one_name() {
    let store = sources("src/store");
    for (_, _, op) in operations() {
        let id = op["operationId"].as_str().unwrap();
        let handler = body("src/http", id).unwrap_or_else(|| panic!("no handler {id}"));
        if WITHOUT_OPERATION.contains(&id) {
            assert!(body("src/operations", id).is_none(), "{id}");
            continue;
        }
        assert!(body("src/operations", id).is_some(), "no operation {id}");
        let called: BTreeSet<_> = calls(&handler, "operations.").into_iter().collect();
        assert_eq!(called, BTreeSet::from([id.to_owned()]), "handler {id}");
        let calls = store_calls(id);
        // Several operations may share a store method, but an operation with a script of its own
        // name must use that one.
        if script(id).is_some() {
            assert_eq!(calls, [id]);
        }
        assert!(calls.len() < 2, "{id} calls the store once: {calls:?}");
        for call in calls {
            assert!(
                store.contains(&format!("pub async fn {call}(")),
                "{id} calls {call}, which the store has not"
            );
        }
    }
}

/// The property names that a schema declares, and those it requires.
fn declared(schema: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        return declared(
            contract()
                .pointer(reference.trim_start_matches('#'))
                .unwrap(),
        );
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let required = schema["required"].as_array().into_iter().flatten();
    let mut names: (BTreeSet<_>, BTreeSet<_>) = (
        properties.map(|(name, _)| name.clone()).collect(),
        required
            .map(|name| name.as_str().unwrap().to_owned())
            .collect(),
    );
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (properties, required) = declared(part);
        names.0.extend(properties);
        names.1.extend(required);
    }
    names
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
    let app = spawn_app();
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
    compare_all("Message", &[&sent, &thumb.json(200), &tombstone]);
    compare("Attachment", &sent["attachments"][0]);
    compare("NewMessage", &everything);
    compare("Edit", &edit);
    compare("Conversation", &app.read("bob", "alice").await);
    compare("ConversationState", &app.mark_read("bob", "alice", 1).await);
    let inbox = app.inbox("bob", "").await;
    compare("Inbox", &inbox);
    compare("ConversationState", &inbox["conversations"][0]);
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
    compare("RedisHealth", &readiness["redis"]);
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
