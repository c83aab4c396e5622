//! The schemas of live messages, taken from the OpenAPI document as JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// The schemas of the OpenAPI document.
pub struct MessageSchemas(Map<String, Value>);

impl MessageSchemas {
    pub fn of(openapi: &OpenApi) -> Self {
        match json!(openapi.components)["schemas"].take() {
            Value::Object(schemas) => Self(schemas),
            _ => Self(Map::new()),
        }
    }

    /// The messages of a union: the `type` of each, and the name of its schema.
    pub fn union(&self, name: &str) -> BTreeMap<String, String> {
        let mapping = &self.0[name]["discriminator"]["mapping"];
        let messages = mapping.as_object().into_iter().flatten();
        messages
            .filter_map(|(kind, target)| Some((kind.clone(), name_of(target)?.to_owned())))
            .collect()
    }

    pub fn description(&self, name: &str) -> &Value {
        &self.0[name]["description"]
    }

    pub fn message(&self, kind: &str, name: &str) -> Value {
        let schema = &self.0[name];
        let mut message = json!({
            "name": kind,
            "title": name,
            "summary": self.description(name),
            "payload": {"$ref": format!("#/components/schemas/{name}")},
            "examples": [{"payload": schema["example"]}],
        });
        if schema["properties"].get("ref").is_some() {
            message["correlationId"] = json!({"$ref": "#/components/correlationIds/ref"});
        }
        message
    }

    /// These schemas and those that they refer to, as JSON Schema.
    pub fn reachable(&self, names: &[&str]) -> BTreeMap<String, Value> {
        let mut reached = BTreeMap::new();
        let mut waiting: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        while let Some(name) = waiting.pop() {
            if reached.contains_key(&name) {
                continue;
            }
            let schema = json_schema(&self.0[&name]);
            collect_references(&schema, &mut waiting);
            reached.insert(name, schema);
        }
        reached
    }
}

/// The name of the schema that a reference points to.
fn name_of(reference: &Value) -> Option<&str> {
    reference.as_str()?.rsplit('/').next()
}

fn collect_references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, names)),
        Value::Object(members) => {
            names.extend(members.get("$ref").and_then(name_of).map(str::to_owned));
            members
                .values()
                .for_each(|member| collect_references(member, names));
        }
        _ => {}
    }
}

/// A schema of the OpenAPI document without what is not JSON Schema: `example` becomes `examples`.
fn json_schema(schema: &Value) -> Value {
    let members = match schema {
        Value::Array(schemas) => return schemas.iter().map(json_schema).collect(),
        Value::Object(members) => members.iter(),
        _ => return schema.clone(),
    };
    let members = members.map(|(keyword, value)| match keyword.as_str() {
        "example" => ("examples".to_owned(), json!([value])),
        "examples" | "enum" | "default" => (keyword.clone(), value.clone()),
        "properties" => {
            let properties = value.as_object().into_iter().flatten();
            let properties = properties.map(|(name, schema)| (name.clone(), json_schema(schema)));
            (keyword.clone(), Value::Object(properties.collect()))
        }
        _ => (keyword.clone(), json_schema(value)),
    });
    Value::Object(members.collect())
}
