//! `HEAD`: what `GET` answers, without the body (RFC 9110 section 9.3.2).

use std::future::{Ready, ready};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::error::Error;

/// Marks a `HEAD` request, which is routed as a `GET`.
struct Marker;

/// Routes a `HEAD` as a `GET`. Returns whether it is one.
pub fn route_as_get(req: &mut ServiceRequest) -> bool {
    let is_head = req.method() == Method::HEAD;
    if is_head {
        req.head_mut().method = Method::GET;
        req.extensions_mut().insert(Marker);
    }
    is_head
}

/// The response to a `HEAD`. The server sends no body of a known length; a stream is dropped here,
/// because nothing would end it.
pub fn without_stream<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
) -> ServiceResponse<BoxBody> {
    match response.response().body().size() {
        BodySize::Stream => response.map_body(|_, _| BoxBody::new(body::None::new())),
        _ => response.map_into_boxed_body(),
    }
}

/// Whether the request is a `HEAD`: such a request changes nothing and waits for nothing.
pub struct IsHead(pub bool);

impl FromRequest for IsHead {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(req.extensions().contains::<Marker>())))
    }
}
