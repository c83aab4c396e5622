//! The failures of operations in the OpenAPI document.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use serde_json::json;
use utoipa::Modify;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::error::Code;
use crate::http::problem::PROBLEM_JSON;

/// The failures of an operation in openapi.yaml: one response per status, one example per code.
pub fn responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let response = |codes: Vec<Code>| {
        let examples = codes.iter().map(|code| (code.word(), example(*code)));
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .examples_from_iter(examples)
            .build();
        let words: Vec<_> = codes
            .iter()
            .map(|c| format!("`{}`: {}", c.word(), c.meaning()))
            .collect();
        let mut response = ResponseBuilder::new()
            .description(words.join("\n\n"))
            .content(PROBLEM_JSON, content);
        if codes.iter().any(|code| code.is_retryable()) {
            response = response.header(RETRY_AFTER.as_str(), retry_after());
        }
        response.build()
    };
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), response(codes).into()))
        .collect()
}

/// Moves the problem responses of all operations to `components/responses`. Operations with the same
/// codes refer to the same response.
pub struct SharedResponses;

impl Modify for SharedResponses {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let operations = openapi.paths.paths.values_mut().flat_map(|item| {
            [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ]
        });
        let responses = operations
            .flatten()
            .flat_map(|operation| operation.responses.responses.values_mut());
        for response in responses {
            if let Some(name) = component_name(response) {
                let reference = Ref::from_response_name(&name);
                let moved = std::mem::replace(response, reference.into());
                components.responses.insert(name, moved);
            }
        }
    }
}

/// The name of a problem response: its codes, for example `MessageChangedOrMessageDeletedProblem`.
fn component_name(response: &RefOr<Response>) -> Option<String> {
    let RefOr::T(response) = response else {
        return None;
    };
    let RefOr::T(content) = response.content.get(PROBLEM_JSON)? else {
        return None;
    };
    let names: Vec<_> = content.examples.keys().map(|code| pascal(code)).collect();
    Some(names.join("Or") + "Problem")
}

/// `MESSAGE_DELETED` as `MessageDeleted`.
fn pascal(code: &str) -> String {
    let capitalized = |word: &str| word[..1].to_owned() + &word[1..].to_lowercase();
    code.split('_').map(capitalized).collect()
}

fn retry_after() -> Header {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .build();
    HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("Seconds to wait before trying again."))
        .build()
}

fn example(code: Code) -> utoipa::openapi::example::Example {
    let title = StatusCode::from_u16(code.status())
        .ok()
        .and_then(|s| s.canonical_reason());
    let mut problem = json!({
        "title": title, "status": code.status(), "detail": code.meaning(), "code": code.word(),
        "request_id": "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47",
    });
    if code == Code::InvalidRequest {
        problem["errors"] = json!([{"pointer": "/from", "detail": "missing field `from`"}]);
    }
    ExampleBuilder::new()
        .summary(code.word())
        .value(Some(problem))
        .build()
}
