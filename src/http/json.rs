//! Responses from JSON that is already serialized.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};

use super::middleware::authenticate;
use crate::rate::RateLimitStatus;

/// The media type. JSON is UTF-8 by definition (RFC 8259 section 8.1).
pub const TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// A 200 that must not be cached, with the headers of the rate limit.
pub fn answer(json: String, quota: Option<RateLimitStatus>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let response = response.insert_header((CACHE_CONTROL, "no-store"));
    let mut response = response.insert_header((CONTENT_TYPE, TYPE)).body(json);
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    response
}

/// Like [`answer`], with the status 201, and the path of what was created.
pub fn created(
    json: String,
    quota: Option<RateLimitStatus>,
    location: Option<&str>,
) -> HttpResponse {
    let mut response = answer(json, quota);
    *response.status_mut() = StatusCode::CREATED;
    if let Some(Ok(location)) = location.map(HeaderValue::try_from) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
