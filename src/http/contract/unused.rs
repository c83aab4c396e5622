//! Schemas that nothing refers to.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::OpenApi;

/// What no operation refers to and clients need: the messages of a WebSocket, and lines of NDJSON.
const ROOTS: [&str; 5] = [
    "ClientMessage",
    "ExportLine",
    "ImportLine",
    "RoomEvent",
    "ServerMessage",
];

/// Removes the schemas that nothing refers to, such as the parts of flattened structs.
pub struct WithoutUnused;

impl Modify for WithoutUnused {
    fn modify(&self, openapi: &mut OpenApi) {
        // A removed schema may have been the only one that refers to another.
        loop {
            let mut used = BTreeSet::from(ROOTS.map(|root| format!("#/components/schemas/{root}")));
            collect(
                &serde_json::to_value(&*openapi).unwrap_or_default(),
                &mut used,
            );
            let Some(components) = &mut openapi.components else {
                return;
            };
            let before = components.schemas.len();
            components
                .schemas
                .retain(|name, _| used.contains(&format!("#/components/schemas/{name}")));
            if components.schemas.len() == before {
                return;
            }
        }
    }
}

/// Adds the targets of all references in a value.
fn collect(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, targets)),
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            targets.extend(reference.map(str::to_owned));
            members.values().for_each(|member| collect(member, targets));
        }
        _ => {}
    }
}
