//! Every operation has one name in all layers, and documents the errors that it can give.

use std::collections::BTreeSet;

use duologue::store::{RetrySafety, SCRIPTS, Script};
use serde_json::Value;

use super::openapi::operations;
use crate::harness::source_tree::files;

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
    matches!(method, "charge_rate" | "charge_several") || script(method).is_some_and(reads)
}

/// Handlers without an operation: the answer does not depend on the caller, or, on a live
/// connection, follows later.
const WITHOUT_OPERATION: [&str; 6] = [
    "check_health",
    "open_socket",
    "read_asyncapi_yaml",
    "read_openapi_json",
    "read_openapi_yaml",
    "stream_events",
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
        // A conversation with a room has a method of its own.
        let (of_rooms, calls): (Vec<_>, Vec<_>) = store_calls(id)
            .into_iter()
            .partition(|call| call.contains("_room_"));
        assert!(
            of_rooms.len() < 2,
            "{id} calls the store once: {of_rooms:?}"
        );
        // Several operations may share a store method, but an operation with a script of its own
        // name must use that one.
        if script(id).is_some() {
            assert_eq!(calls, [id]);
        }
        assert!(calls.len() < 2, "{id} calls the store once: {calls:?}");
        for call in calls.into_iter().chain(of_rooms) {
            assert!(
                store.contains(&format!("pub async fn {call}(")),
                "{id} calls {call}, which the store has not"
            );
        }
    }
}
