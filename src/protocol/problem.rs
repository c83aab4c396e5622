//! Problem documents (RFC 9457), over HTTP and on a WebSocket.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{Code, Error};

/// Why a request failed (RFC 9457). `type` is absent, which means `about:blank`; `code` identifies
/// the problem.
// A client may read the document of a proxy, which has fewer members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The reason phrase of the HTTP status.
    #[serde(default)]
    #[schema(required = true)]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// A description for humans.
    pub detail: String,
    /// A stable code for programs.
    // A text, because a later version of the service, or a proxy, may answer with another code.
    #[serde(default)]
    #[schema(value_type = Code, required = true)]
    pub code: String,
    /// The id of the request, also in the header `X-Request-Id` and in the log.
    #[serde(default)]
    #[schema(required = true)]
    pub request_id: String,
    /// The invalid fields; absent if the problem is not about the content of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<ProblemField>,
    /// Number of messages that a partly failed import stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub imported: Option<u64>,
    /// Number of messages of a partly failed import that were already stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skipped: Option<u64>,
}

/// One invalid field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemField {
    /// A JSON Pointer (RFC 6901) into the body, or `/path/...`, `/query/...`, `/header/...`.
    pub pointer: String,
    /// What is wrong with the field, for humans.
    pub detail: String,
}

impl Problem {
    /// The document of a failure. `title` is the reason phrase of its HTTP status.
    pub fn new(error: &Error, status: u16, title: &str, request_id: &str) -> Self {
        let fields = error.fields.iter().map(|field| ProblemField {
            pointer: field.pointer.clone(),
            detail: field.detail.clone(),
        });
        Self {
            title: title.to_owned(),
            status,
            detail: error.detail.to_string(),
            code: error.code.word().to_owned(),
            request_id: request_id.to_owned(),
            errors: fields.collect(),
            imported: error.stored.as_ref().map(|stored| stored.imported),
            skipped: error.stored.as_ref().map(|stored| stored.skipped),
        }
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        "ProblemCode".into()
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let words = Code::ALL.iter().map(|code| code.word());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words))
            .description(Some(
                "The kind of a problem. Later versions may add codes: a client handles a code that it does not \
                know by the `status` of the problem.",
            ))
            .build()
            .into()
    }
}
