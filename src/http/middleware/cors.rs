//! Pages of other origins that may use the API.

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::dev::RequestHead;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH,
    LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};

use super::{authenticate, request_log};
use crate::http::endpoints::messages;
use crate::http::header::IDEMPOTENCY_KEY;
use crate::http::live::sse;
use crate::model::OriginPattern;

/// The CORS policy: pages of these origins may use the whole API. Cookies are not allowed, because
/// credentials are bearer tokens.
pub fn cors(origins: Arc<[OriginPattern]>) -> Cors {
    let is_allowed = move |origin: &HeaderValue, _: &RequestHead| {
        let matches = |origin| origins.iter().any(|pattern| pattern.matches(origin));
        origin.to_str().is_ok_and(matches)
    };
    Cors::default()
        .allowed_origin_fn(is_allowed)
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            AUTHORIZATION,
            CACHE_CONTROL,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            IDEMPOTENCY_KEY,
            sse::LAST_EVENT_ID,
            request_log::REQUEST_ID,
        ])
        .expose_headers([
            ETAG,
            messages::IDEMPOTENT_REPLAYED,
            LOCATION,
            RETRY_AFTER,
            WWW_AUTHENTICATE,
            request_log::REQUEST_ID,
            authenticate::RATE_LIMIT,
            authenticate::RATE_LIMIT_POLICY,
        ])
        .block_on_origin_mismatch(false)
        .max_age(3600)
}
