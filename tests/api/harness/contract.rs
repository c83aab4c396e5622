//! Checks of whatever the service answers against openapi.yaml.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::Value;

use crate::meta::openapi::contract;

/// The validator of a schema of the contract, by its JSON pointer.
fn validator(pointer: &str) -> Arc<Validator> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> =
        LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = compiled.entry(pointer.to_owned()).or_insert_with(|| {
        let mut schema = contract().pointer(pointer).unwrap().clone();
        schema["components"] = contract()["components"].clone();
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let validator = options.build(&schema);
        Arc::new(validator.unwrap_or_else(|error| panic!("{pointer}: {error}")))
    });
    validator.clone()
}

/// What a value has that its schema does not allow; empty if it is valid.
fn faults(pointer: &str, value: &Value) -> Vec<String> {
    let validator = validator(pointer);
    let errors = validator.iter_errors(value);
    let faults = errors.map(|error| format!("{}: {error}", error.instance_path()));
    faults.collect()
}

#[track_caller]
fn assert_valid(pointer: &str, value: &Value) {
    let faults = faults(pointer, value);
    assert!(faults.is_empty(), "{pointer}: {faults:#?}\n{value:#}");
}

/// Checks a value against a named schema.
#[track_caller]
pub fn assert_fits(schema: &str, value: &Value) {
    assert_valid(&format!("/components/schemas/{schema}"), value);
}

/// Checks a message on a live connection against the schema of its type.
#[track_caller]
pub fn assert_live_message_fits(message: &Value) {
    // The events of watched rooms have the same types as those of the user.
    let union = match message.get("room") {
        Some(_) => "RoomEvent",
        None => "ServerMessage",
    };
    let union = &contract()["components"]["schemas"][union];
    let of_type = message["type"].as_str().unwrap_or_default();
    let reference = union["discriminator"]["mapping"][of_type].as_str();
    let reference = reference.unwrap_or_else(|| panic!("not in the contract: {message}"));
    assert_valid(reference.trim_start_matches('#'), message);
}

fn matches(template: &str, path: &str) -> bool {
    let (mut names, mut segments) = (template.split('/'), path.split('/'));
    loop {
        match (names.next(), segments.next()) {
            (None, None) => return true,
            (Some(name), Some(segment)) if name.starts_with('{') || name == segment => {}
            _ => return false,
        }
    }
}

fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The JSON pointers of the schemas that the operations of a path declare for an answer.
fn schemas_of(path: &str, status: u16, media_type: &str) -> Vec<String> {
    let paths = contract()["paths"].as_object().unwrap();
    let candidates = paths.keys().filter(|template| matches(template, path));
    // A literal segment comes before a parameter.
    let template = candidates.min_by_key(|template| template.matches('{').count());
    let Some(template) = template else {
        return Vec::new();
    };
    let operations = paths[template].as_object().unwrap().iter();
    let declared = operations.filter_map(|(method, operation)| {
        let mut pointer = format!("/paths/{}/{method}/responses/{status}", escape(template));
        let mut answer = operation["responses"].get(status.to_string())?;
        if let Some(shared) = answer["$ref"].as_str() {
            shared.trim_start_matches('#').clone_into(&mut pointer);
            answer = contract().pointer(&pointer)?;
        }
        answer["content"].get(media_type)?;
        Some(format!("{pointer}/content/{}/schema", escape(media_type)))
    });
    declared.collect()
}

/// Checks the JSON of an answer. It must be valid for an operation of its path. An error that no
/// operation declares is a problem all the same: the service refuses what the contract does not describe.
#[track_caller]
pub fn assert_answer_fits(path: &str, status: u16, media_type: &str, text: &str) {
    if !matches!(media_type, "application/json" | "application/problem+json") {
        return;
    }
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut schemas = schemas_of(path, status, media_type);
    if schemas.is_empty() && status >= 400 {
        schemas.push("/components/schemas/Problem".to_owned());
    }
    let faults: Vec<_> = schemas
        .iter()
        .map(|schema| faults(schema, &value))
        .collect();
    assert!(
        faults.iter().any(Vec::is_empty),
        "{status} of {path} is not as the contract has it: {faults:#?}\n{value:#}"
    );
}
