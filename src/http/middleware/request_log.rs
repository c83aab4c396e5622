//! The outermost middleware: gives each request an id, counts it, logs a failure once, and answers it
//! with a problem document.

use std::time::{Duration, Instant};

use actix_web::ResponseError;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::web::Data;
use chrono::Utc;
use uuid::Uuid;

use super::{authenticate, head, site};
use crate::error::{Code, Error};
use crate::http::connection::{self, RequestInProgress, ResponseBody};
use crate::http::problem;
use crate::metrics::Metrics;
use crate::model::fresh_id;

/// The id of a request, in every response. Chosen by the client if it sends a valid one, generated
/// otherwise.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths that are served even if there are too many connections.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The route of a request that matched none, in metrics and logs.
const NO_ROUTE: &str = "none";

/// Observes a request from its headers to those of its response.
pub async fn observe(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + Unpin + 'static>,
) -> Result<ServiceResponse<ResponseBody<EitherBody<impl MessageBody>>>, actix_web::Error> {
    let started = Instant::now();
    let id = request_id(&req);
    let method = req.method().clone();
    let is_head = head::route_as_get(&mut req);
    let in_progress = RequestInProgress::of(req.request());

    let (mut response, error) = match check(&req, in_progress.as_ref()) {
        Err(error) => {
            let response = req.error_response(error.clone());
            (response.map_into_right_body(), Some(error))
        }
        Ok(()) => {
            let answer = next.call(req).await?;
            match answer.status().as_u16() {
                400.. => {
                    // Boxed, because failures are rare and would enlarge the future of every request.
                    let (response, error) = Box::pin(settle(answer)).await;
                    (response.map_into_right_body(), Some(error))
                }
                _ if is_head => (head::without_stream(answer).map_into_right_body(), None),
                _ => (answer.map_into_left_body(), None),
            }
        }
    };

    // Prevents browsers from interpreting content of users as a script or a page.
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    let request = ObservedRequest {
        id: id.to_str().unwrap_or_default(),
        method: &method,
        elapsed: started.elapsed(),
    };
    request.record(&response, error.as_ref());
    let mut response = match error {
        None => response,
        Some(error) => problem::render(response, &error, request.id).map_into_right_body(),
    };
    response.headers_mut().insert(REQUEST_ID, id);
    Ok(connection::finish(response, in_progress))
}

struct ObservedRequest<'a> {
    id: &'a str,
    method: &'a Method,
    elapsed: Duration,
}

impl ObservedRequest<'_> {
    /// Counts and logs the request.
    fn record<B>(&self, response: &ServiceResponse<B>, error: Option<&Error>) {
        let Self {
            id,
            method,
            elapsed,
        } = *self;
        let status = response.status();
        let metrics = response.request().app_data::<Data<Metrics>>();
        let pattern = response.request().match_pattern();
        let route = pattern.as_deref().unwrap_or(NO_ROUTE);
        if let Some(metrics) = metrics {
            let seconds = elapsed.as_secs_f64();
            metrics.request(known(method.as_str()), route, status.as_str(), seconds);
        }
        let (status, milliseconds) = (status.as_u16(), elapsed.as_millis());
        let Some(error) = error else {
            tracing::debug!(request_id = id, %method, route, status, milliseconds, "answered");
            return;
        };
        let code = error.code.word();
        if let Some(metrics) = metrics {
            metrics.error(code);
        }
        // The detail of a 4xx may quote the request, so only that of a 5xx is logged.
        if status < 500 {
            tracing::info!(request_id = id, %method, route, status, code, milliseconds, "refused");
        } else {
            let detail = &*error.detail;
            tracing::error!(request_id = id, %method, route, status, code, milliseconds, detail, "failed");
        }
    }
}

/// Checks made before a request is routed.
fn check(req: &ServiceRequest, in_progress: Option<&RequestInProgress>) -> Result<(), Error> {
    let is_surplus = in_progress.is_some_and(RequestInProgress::is_surplus);
    if is_surplus && !PROBES.contains(&req.path()) {
        return Err(Code::Busy.into());
    }
    site::check(req)
}

/// Determines the error of a failed request. A rejected credential is charged to the client's address and
/// becomes `RATE_LIMITED` after too many.
async fn settle<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
) -> (ServiceResponse<BoxBody>, Error) {
    let error = problem::of(&response);
    if error.code != Code::Unauthenticated {
        return (response.map_into_boxed_body(), error);
    }
    let error = authenticate::charge_rejection(&response, error).await;
    if error.quota.is_none() {
        return (response.map_into_boxed_body(), error);
    }
    // Keeps the headers of other middleware: without those of CORS a page could not read the response.
    let mut limited = error.error_response();
    for (name, value) in response.headers() {
        if name != WWW_AUTHENTICATE && !limited.headers().contains_key(name) {
            limited.headers_mut().append(name.clone(), value.clone());
        }
    }
    (response.into_response(limited), error)
}

fn request_id(req: &ServiceRequest) -> HeaderValue {
    let is_valid = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        (1..=128).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    };
    match req.headers().get(REQUEST_ID).filter(is_valid) {
        Some(id) => id.clone(),
        None => {
            let mut text = Uuid::encode_buffer();
            let id = fresh_id(Utc::now()).hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
        }
    }
}

/// A method as a label. Clients can send any method, so unknown ones share a label.
fn known(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => "other",
    }
}
