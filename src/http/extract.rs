//! From a request to values of [`crate::model`]: parsed once, here, and refused by name.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use utoipa::IntoParams;

use crate::error::{Code, Error};
use crate::model::{IdempotencyKey, parse_json, pointer};

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body. Takes the place of actix' own `Json`, whose errors name no field.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = req.content_type().eq_ignore_ascii_case("application/json");
        // A body that says it is too large is not waited for.
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
                .map_err(|_| Error::new(Code::MalformedJson, "The body broke off."))?;
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

/// The `Idempotency-Key` of a request that may be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Retry {
    /// What marks this request, so that sending it again does not send the message again: 1 to 255
    /// printable ASCII characters, remembered for 24 hours for this sender and conversation.
    #[param(rename = "Idempotency-Key", value_type = Option<String>, nullable = false, pattern = "^[ -~]{1,255}$", min_length = 1, max_length = 255)]
    pub key: Option<IdempotencyKey>,
}

impl FromRequest for Retry {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(header) = req.headers().get("idempotency-key") else {
            return ready(Ok(Self { key: None }));
        };
        // What is not ASCII is refused like any other key out of form.
        let key = IdempotencyKey::try_from(header.to_str().unwrap_or_default());
        let refused = |why| Error::field(Code::InvalidRequest, "/header/idempotency-key", why);
        ready(key.map(|key| Self { key: Some(key) }).map_err(refused))
    }
}
