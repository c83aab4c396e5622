//! Responses from JSON that is already serialized.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

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
