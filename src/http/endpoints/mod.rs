//! The HTTP API, one file per resource. A handler has the name of its operation.

pub mod conversations;
pub mod dead_letters;
pub mod docs;
pub mod examples;
pub mod import;
pub mod messages;
pub mod page;
pub mod presence;
pub mod probes;
pub mod receipts;
pub mod rooms;
pub mod settings;
pub mod subscriptions;
pub mod tickets;
pub mod typing;
pub mod users;

use actix_web::HttpResponse;

use super::middleware::authenticate;
use crate::rate::RateLimitStatus;

/// A 204 with the headers of the rate limit.
fn no_content(quota: Option<RateLimitStatus>) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    authenticate::insert_rate_limit_headers(response.headers_mut(), quota);
    response
}
