//! Extractors of bodies, queries and headers.
//!
//! Every operation has a [`JsonBody`], [`QueryParams`] or, without either, [`NoInput`] among its
//! arguments. Each of them refuses a query or a body that the operation does not accept.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::StreamExt;
use futures_util::future::Either;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{Code, Error};
use crate::model::{MergePatch, limits, parse_json, pointer};

/// Time limit for receiving a body, before the allowance of [`BODY_RATE`].
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes received that extend the limit by a second. Long bodies over slow connections are accepted;
/// bodies that trickle in to hold the connection open are not.
const BODY_RATE: u64 = 8 * 1024;

/// A JSON body. Unlike those of actix's `Json`, its errors name the invalid field.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read_json(req, payload, &[JSON]);
        Box::pin(async move { body.await.map(Self) })
    }
}

/// A JSON body that may be absent, empty or `null`.
pub struct OptionalBody<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest for OptionalBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = DeclaredBody::of(req, payload, &[JSON]);
        Box::pin(async move {
            let (body, is_json) = body?;
            match body.receive().await? {
                bytes if bytes.is_empty() => Ok(Self(None)),
                bytes => {
                    is_json?;
                    let is_null = bytes.trim_ascii() == b"null";
                    let body = (!is_null).then(|| parse_json(&bytes)).transpose()?;
                    Ok(Self(body))
                }
            }
        })
    }
}

/// The media types of a `PATCH`: JSON and JSON Merge Patch (RFC 7396).
pub const PATCH_TYPES: [&str; 2] = [JSON, "application/merge-patch+json"];

const JSON: &str = "application/json";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Adds the media types that `PATCH` accepts (RFC 5789 section 3.1).
pub fn insert_accept_patch(headers: &mut HeaderMap) {
    if let Ok(types) = HeaderValue::from_str(&PATCH_TYPES.join(", ")) {
        headers.insert(ACCEPT_PATCH, types);
    }
}

/// The body of a `PATCH`.
pub struct PatchBody<T>(pub T);

impl<T: DeserializeOwned + MergePatch + 'static> FromRequest for PatchBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let merges = !req.content_type().eq_ignore_ascii_case(JSON);
        let body = read_json::<T>(req, payload, &PATCH_TYPES);
        Box::pin(async move {
            let patch = body.await?;
            Ok(Self(if merges { patch.merging() } else { patch }))
        })
    }
}

/// Reads a body of one of these media types.
fn read_json<T: DeserializeOwned>(
    req: &HttpRequest,
    payload: &mut Payload,
    types: &'static [&'static str],
) -> impl Future<Output = Result<T, Error>> + use<T> {
    let body = DeclaredBody::of(req, payload, types);
    async move {
        let (body, is_json) = body?;
        is_json?;
        parse_json(&body.receive().await?)
    }
}

/// A body that is not received yet.
struct DeclaredBody {
    payload: web::Payload,
    is_too_large: bool,
}

impl DeclaredBody {
    /// Checks what can be checked before the body arrives. Returns the check of its media type separately,
    /// because an empty body needs none.
    fn of(
        req: &HttpRequest,
        payload: &mut Payload,
        types: &'static [&'static str],
    ) -> Result<(Self, Result<(), Error>), Error> {
        refuse_query(req)?;
        refuse_encoding(req.headers())?;
        let given = req.content_type();
        let is_json = types.iter().any(|t| given.eq_ignore_ascii_case(t));
        let refusal = || {
            let (code, pointer) = (Code::UnsupportedMediaType, "/header/content-type");
            Error::field(code, pointer, format!("must be {}", types.join(" or ")))
        };
        let length = declared_length(req);
        let payload = web::Payload::from_request(req, payload).into_inner();
        let body = Self {
            payload: payload.map_err(|_| Code::MalformedJson)?,
            is_too_large: length.is_some_and(|length| length > limits::REQUEST as u64),
        };
        Ok((body, is_json.then_some(()).ok_or_else(refusal)))
    }

    async fn receive(self) -> Result<BytesMut, Error> {
        // A body whose declared length is too large is refused before it is received.
        if self.is_too_large {
            return Err(Code::PayloadTooLarge.into());
        }
        let bytes = receive(self.payload, limits::REQUEST).await?;
        bytes.ok_or_else(|| Code::PayloadTooLarge.into())
    }
}

/// Receives a body; `None` if it is larger than `limit`.
pub async fn receive(mut body: web::Payload, limit: usize) -> Result<Option<BytesMut>, Error> {
    let (begun, mut bytes) = (Instant::now(), BytesMut::new());
    loop {
        let earned = Duration::from_secs(bytes.len() as u64 / BODY_RATE);
        let chunk = timeout_at(begun + BODY_TIMEOUT + earned, body.next()).await;
        let Some(chunk) = chunk.map_err(|_| Code::RequestTimeout)? else {
            return Ok(Some(bytes));
        };
        let chunk =
            chunk.map_err(|_| Error::new(Code::MalformedJson, "The body is incomplete."))?;
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn declared_length(req: &HttpRequest) -> Option<u64> {
    let length = req.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The field that an error about the coding of a body names.
pub const CONTENT_ENCODING_POINTER: &str = "/header/content-encoding";

/// Refuses a compressed body, because decompressing it could take any amount of memory.
pub fn refuse_encoding(headers: &HeaderMap) -> Result<(), Error> {
    let values = headers.get_all(CONTENT_ENCODING);
    // A header that is not ASCII counts as an unknown coding.
    let mut codings = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let is_identity = |coding: &str| {
        let coding = coding.trim();
        coding.is_empty() || coding.eq_ignore_ascii_case("identity")
    };
    if codings.all(is_identity) {
        return Ok(());
    }
    let why = "must be identity: compressed bodies are not supported";
    Err(Error::field(
        Code::UnsupportedMediaType,
        CONTENT_ENCODING_POINTER,
        why,
    ))
}

/// The query of a request.
pub struct QueryParams<T>(pub T);

/// An immediate result, or one that waits for the body.
type Extraction<T> =
    Either<Ready<Result<T, Error>>, Pin<Box<dyn Future<Output = Result<T, Error>>>>>;

impl<T: DeserializeOwned + 'static> FromRequest for QueryParams<T> {
    type Error = Error;
    type Future = Extraction<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        match parse_query(req) {
            Ok(query) if may_have_body(req.headers()) => {
                let payload = payload.take();
                Either::Right(Box::pin(async move {
                    refuse_body(payload).await.map(|()| Self(query))
                }))
            }
            parsed => Either::Left(ready(parsed.map(Self))),
        }
    }
}

/// The input of an operation that takes neither query parameters nor a body.
pub struct NoInput;

impl FromRequest for NoInput {
    type Error = Error;
    type Future = Extraction<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        match QueryParams::<NoParams>::from_request(req, payload) {
            Either::Left(parsed) => Either::Left(ready(parsed.into_inner().map(|_| Self))),
            Either::Right(later) => Either::Right(Box::pin(async { later.await.map(|_| Self) })),
        }
    }
}

/// The query of an operation without parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParams {}

/// Refuses a request with query parameters.
pub fn refuse_query(req: &HttpRequest) -> Result<(), Error> {
    parse_query::<NoParams>(req).map(|_| ())
}

fn parse_query<T: DeserializeOwned>(req: &HttpRequest) -> Result<T, Error> {
    let query = form_urlencoded::parse(req.query_string().as_bytes());
    let parsed = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(query));
    parsed.map_err(|e| {
        let mut why = e.inner().to_string();
        if req.query_string().contains('+') {
            why.push_str(" (a `+` in a query is a space; send %2B)");
        }
        Error::field(Code::InvalidRequest, pointer("/query", e.path(), &why), why)
    })
}

/// Whether the headers declare a body, which may be empty (RFC 9112 section 6.3).
fn may_have_body(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// Refuses a body that is not empty.
async fn refuse_body(mut payload: Payload) -> Result<(), Error> {
    let is_empty = async {
        loop {
            match payload.next().await {
                None => return true,
                Some(Ok(bytes)) if bytes.is_empty() => (),
                Some(_) => return false,
            }
        }
    };
    match timeout(BODY_TIMEOUT, is_empty).await {
        Ok(true) => Ok(()),
        _ => Err(unexpected_body()),
    }
}

/// Refuses a body if the headers declare one. For WebSocket handshakes, whose connection continues
/// after the headers.
pub fn refuse_declared_body(headers: &HeaderMap) -> Result<(), Error> {
    let length = headers.get(CONTENT_LENGTH);
    let is_empty = length.is_none_or(|length| length.as_bytes() == b"0");
    if is_empty && !headers.contains_key(TRANSFER_ENCODING) {
        Ok(())
    } else {
        Err(unexpected_body())
    }
}

fn unexpected_body() -> Error {
    Error::field(Code::InvalidRequest, "", "this operation accepts no body")
}
