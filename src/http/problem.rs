//! Problem documents (RFC 9457): the body of every failed request.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
    UPGRADE, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, ResponseError};

use super::extract::CONTENT_ENCODING_POINTER;
use super::middleware::authenticate;
use crate::error::{Code, Error};
use crate::protocol::Problem;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Status and headers of an error. [`render`] writes the body, which contains the id of the request.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated
            && let Ok(challenge) = HeaderValue::from_str(&challenge(&self.detail))
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.code == Code::UpgradeRequired {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        // A 415 about anything else must not have this header (RFC 9110 section 12.5.3).
        if self.names(CONTENT_ENCODING_POINTER) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        authenticate::insert_rate_limit_headers(headers, self.quota);
        response
    }
}

/// The `WWW-Authenticate` header of a 401 (RFC 6750 section 3). No detail of a rejection contains
/// quotes or any part of the credential.
fn challenge(why: &str) -> String {
    // A request without a credential gets no error code (RFC 6750 section 3.1).
    if why == Code::Unauthenticated.meaning() {
        return "Bearer realm=\"duologue\"".to_owned();
    }
    format!("Bearer realm=\"duologue\", error=\"invalid_token\", error_description=\"{why}\"")
}

/// The error of a response. Responses of actix and Swagger UI contain none, so it is derived from
/// their status.
pub fn of<B>(response: &ServiceResponse<B>) -> Error {
    let own = response
        .response()
        .error()
        .and_then(|e| e.as_error::<Error>());
    own.cloned().unwrap_or_else(|| {
        let status = response.status().as_u16();
        let code = Code::ALL.iter().find(|code| code.status() == status);
        code.copied()
            .unwrap_or(if status < 500 {
                Code::InvalidRequest
            } else {
                Code::Internal
            })
            .into()
    })
}

/// Replaces the body of a response by a problem document. Status and other headers stay.
pub fn render<B: MessageBody>(
    response: ServiceResponse<B>,
    error: &Error,
    request_id: &str,
) -> ServiceResponse<BoxBody> {
    let problem = document(error, response.status(), request_id);
    let json = serde_json::to_string(&problem).unwrap_or_default();
    response.map_body(|head, _| {
        head.headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        head.headers_mut().remove(CONTENT_LENGTH);
        BoxBody::new(json)
    })
}

/// The problem document of an error.
pub fn document(error: &Error, status: StatusCode, request_id: &str) -> Problem {
    let title = status.canonical_reason().unwrap_or_default();
    Problem::new(error, status.as_u16(), title, request_id)
}

/// Errors of every operation that requires a credential.
pub const CALL: &[Code] = &[
    Code::InvalidRequest,
    Code::Unauthenticated,
    Code::Forbidden,
    Code::RateLimited,
];
/// Errors of every operation with a body.
pub const BODY: &[Code] = &[
    Code::MalformedJson,
    Code::RequestTimeout,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
];
/// Errors of every operation that reads from the store.
pub const READ: &[Code] = &[Code::Internal, Code::Unavailable];
/// Errors of every operation that writes to the store.
pub const CHANGE: &[Code] = &[
    Code::Internal,
    Code::Unavailable,
    Code::OutcomeUnknown,
    Code::StorageFull,
];

/// Errors of every operation on a conversation, which can be a room.
pub const PEER: &[Code] = &[Code::NotAMember, Code::RoomNotFound];

/// Declares a type that lists the errors of an operation in openapi.yaml: groups, then its own.
macro_rules! refusals {
    ($visibility:vis $name:ident: $($group:ident)* $(; $($code:ident),*)?) => {
        $visibility struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                use $crate::error::Code;
                let groups: &[&[Code]] =
                    &[$($crate::http::problem::$group,)* &[$($(Code::$code),*)?]];
                $crate::http::contract::problem_responses(&groups.concat())
            }
        }
    };
}
pub(super) use refusals;
