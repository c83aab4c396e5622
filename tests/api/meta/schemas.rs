//! The schemas of openapi.yaml are such that generators of clients can read them.

use std::collections::BTreeSet;

use duologue::error::Code;
use serde_json::{Value, json};

use super::openapi::{contract, operations};

fn schemas() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let schemas = contract()["components"]["schemas"].as_object().unwrap();
    schemas.iter().map(|(name, schema)| (&**name, schema))
}

/// The members of a schema.
fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn has_type(schema: &Value, name: &str) -> bool {
    let named = |kind: &Value| kind == name;
    named(&schema["type"])
        || schema["type"]
            .as_array()
            .is_some_and(|all| all.iter().any(named))
}

fn is_nullable(schema: &Value) -> bool {
    let mut variants = schema["oneOf"].as_array().into_iter().flatten();
    has_type(schema, "null") || variants.any(|variant| has_type(variant, "null"))
}

#[test]
fn no_schema_is_split_into_parts() {
    assert!(!contract().to_string().contains("\"allOf\""));
    // A member of each part of a struct that is flattened twice, and of the union of commands.
    let schema = &contract()["components"]["schemas"];
    for (name, member) in [
        ("MessageCreated", "message"),
        ("MessageCreated", "peer"),
        ("MessageCreated", "total_unread_count"),
        ("MessageCreated", "type"),
        ("SendCommand", "body"),
        ("SendCommand", "idempotency_key"),
        ("SendCommand", "ref"),
        ("Inbox", "conversations"),
        ("Inbox", "total_unread_count"),
    ] {
        let member = &schema[name]["properties"][member];
        assert!(member.is_object(), "{name} {member}");
    }
}

/// In a change, `null` removes the value of a member.
const NULLABLE: [&str; 2] = ["ConversationPatch", "Edit"];

// States are complete, so that a client can put them in the place of what it has: a required member without a
// value is null.
#[test]
fn a_member_is_optional_or_nullable_but_not_both() {
    let mut nullable = 0;
    for (name, schema) in schemas().filter(|(name, _)| !NULLABLE.contains(name)) {
        let required = schema["required"].as_array();
        for (member, _) in members(schema).filter(|(_, member)| is_nullable(member)) {
            let is_required = required.is_some_and(|all| all.contains(&json!(member)));
            assert!(is_required, "{name} {member}");
            nullable += 1;
        }
    }
    assert!(nullable > 0, "nullable members are found");
    for (method, path, op) in operations() {
        let content = &op["requestBody"]["content"];
        for content in content.as_object().into_iter().flat_map(|c| c.values()) {
            assert!(!is_nullable(&content["schema"]), "{method} {path}");
        }
        for parameter in op["parameters"].as_array().into_iter().flatten() {
            assert!(
                !is_nullable(&parameter["schema"]),
                "{method} {path} {parameter}"
            );
        }
    }
}

#[test]
fn an_operation_has_one_media_type_in_each_direction() {
    for (method, path, op) in operations() {
        let successes = op["responses"].as_object().unwrap().iter();
        let successes = successes.filter(|(status, _)| status.as_str() < "300");
        let bodies = successes.map(|(_, body)| body).chain(op.get("requestBody"));
        for body in bodies {
            let types = body["content"].as_object().map_or(0, serde_json::Map::len);
            assert!(types < 2, "{method} {path}: {body}");
            for (media_type, content) in body["content"].as_object().into_iter().flatten() {
                // Clients cannot encode or decode other structures than JSON. They stream events, and the
                // documents in YAML are not for them.
                let is_structure = ["application/json", "text/event-stream", "application/yaml"];
                assert!(
                    is_structure.contains(&media_type.as_str())
                        || content["schema"]["type"] == "string",
                    "{method} {path} {media_type}"
                );
            }
        }
    }
}

/// `ConversationState` as `conversation_state`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// `send_message` as `SendMessage`.
fn pascal_case(name: &str) -> String {
    let words = name.split('_');
    words
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

#[test]
fn names_of_schemas_clash_with_nothing_that_is_generated() {
    let names: BTreeSet<_> = schemas().map(|(name, _)| name).collect();
    for (name, schema) in schemas() {
        // The constructor of a type in Go.
        let made = name.strip_prefix("New");
        assert!(!made.is_some_and(|made| names.contains(made)), "{name}");
        // A variable in Python.
        let variable = snake_case(name);
        assert!(schema["properties"].get(&variable).is_none(), "{name}");
        // Keywords, in any case.
        let keywords = [
            "Import", "Type", "Class", "Object", "String", "Map", "List", "Error",
        ];
        assert!(!keywords.contains(&name), "{name}");
    }
    // Types that generators name after an operation.
    for (_, _, op) in operations() {
        let operation = pascal_case(op["operationId"].as_str().unwrap());
        for suffix in ["", "Request", "Response", "Data", "Error", "Params", "Body"] {
            let name = format!("{operation}{suffix}");
            assert!(!names.contains(&*name), "{name}");
        }
    }
}

#[test]
fn the_code_of_a_problem_is_one_of_all_codes() {
    let schemas = &contract()["components"]["schemas"];
    let code = &schemas["Problem"]["properties"]["code"]["$ref"];
    assert_eq!(*code, "#/components/schemas/ProblemCode");
    let words: Vec<_> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(schemas["ProblemCode"]["enum"], json!(words));
}

#[test]
fn every_schema_is_used_or_a_message_without_an_operation() {
    let text = contract().to_string();
    for (name, _) in schemas() {
        let reference = format!("\"#/components/schemas/{name}\"");
        let roots = [
            "ClientMessage",
            "ExportLine",
            "ImportLine",
            "RoomEvent",
            "ServerMessage",
        ];
        let is_root = roots.contains(&name);
        assert!(is_root || text.contains(&reference), "{name}");
    }
}
