//! Bodies, queries and headers, parsed into values of [`crate::model`].

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, IF_MATCH};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use utoipa::IntoParams;

use crate::error::{Code, Error};
use crate::model::{IdempotencyKey, parse_json, pointer};

/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body. Unlike actix's `Json`, its errors name the field at fault.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = req.content_type().eq_ignore_ascii_case("application/json");
        // A body that declares to be too large is refused before it arrives.
        let is_too_large = declared_length(req).is_some_and(|length| length > MAX_BODY as u64);
        let body = web::Payload::from_request(req, payload).into_inner();
        Box::pin(async move {
            if !is_json {
                let why = "must be application/json";
                return Err(Error::field(
                    Code::UnsupportedMediaType,
                    "/header/content-type",
                    why,
                ));
            }
            if is_too_large {
                return Err(Code::PayloadTooLarge.into());
            }
            let body = body
                .map_err(|_| Code::MalformedJson)?
                .to_bytes_limited(MAX_BODY);
            let received = timeout(BODY_TIMEOUT, body)
                .await
                .map_err(|_| Code::RequestTimeout)?;
            let bytes = received
                .map_err(|_| Code::PayloadTooLarge)?
                .map_err(|_| Error::new(Code::MalformedJson, "The body is incomplete."))?;
            parse_json(&bytes).map(Self)
        })
    }
}

fn declared_length(req: &HttpRequest) -> Option<u64> {
    let length = req.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The query of a request.
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned> FromRequest for QueryParams<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let query = form_urlencoded::parse(req.query_string().as_bytes());
        let parsed = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(query));
        ready(parsed.map(Self).map_err(|e| {
            let why = e.inner().to_string();
            Error::field(Code::InvalidRequest, pointer("/query", e.path(), &why), why)
        }))
    }
}

/// The `Idempotency-Key` header.
#[derive(IntoParams)]
#[into_params(parameter_in = Header, names("Idempotency-Key"))]
pub struct IdempotencyKeyHeader(
    /// Makes the request safe to repeat: a message with the same key, sender and conversation is
    /// stored once within 24 hours. 1 to 255 printable ASCII characters.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[ -~]{1,255}$", min_length = 1, max_length = 255)]
    pub Option<IdempotencyKey>,
);

impl FromRequest for IdempotencyKeyHeader {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(header) = req.headers().get("idempotency-key") else {
            return ready(Ok(Self(None)));
        };
        // A header that is not ASCII becomes an empty key, which is refused.
        let key = IdempotencyKey::try_from(header.to_str().unwrap_or_default());
        let refused = |why| Error::field(Code::InvalidRequest, "/header/idempotency-key", why);
        ready(key.map(|key| Self(Some(key))).map_err(refused))
    }
}

/// The `If-Match` header.
#[derive(IntoParams)]
#[into_params(parameter_in = Header, names("If-Match"))]
pub struct IfMatchHeader(
    /// The `ETag` that the message must still have.
    pub Option<String>,
);

impl FromRequest for IfMatchHeader {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let tag = req.headers().get(IF_MATCH);
        // A header that is not ASCII matches no version.
        let tag = tag.map(|tag| tag.to_str().unwrap_or_default().to_owned());
        ready(Ok(Self(tag)))
    }
}
