//! Authentication of requests, the headers that report the rate limit, and the charge for rejected
//! credentials.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::{Payload, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::client_ip::TrustedProxies;
use crate::auth::{Authenticator, Caller, Identity};
use crate::error::{Code, Error};
use crate::operations::Operations;
use crate::rate::RateLimitStatus;

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// See [`RATE_LIMIT_POLICY`].
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The caller is the first argument of a handler, so a request without a credential is refused before
/// other parts of it are parsed.
impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(req).map(|identity| identity.caller))
    }
}

impl FromRequest for Identity {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(req))
    }
}

/// The identity behind the `Authorization` header of a request.
pub fn identify(req: &HttpRequest) -> Result<Identity, Error> {
    let mut values = req.headers().get_all(AUTHORIZATION);
    let first = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() {
        // A proxy may have verified the other one.
        let why = "The request has more than one `Authorization` header.";
        return Err(Error::new(Code::Unauthenticated, why));
    }
    authenticator(req)?.authenticate(first)
}

/// The authenticator of the application.
pub fn authenticator(req: &HttpRequest) -> Result<&Authenticator, Error> {
    let data = req.app_data::<Data<Authenticator>>();
    // Always set. If it were missing, the request would be refused.
    data.map(Data::get_ref).ok_or(Code::Internal.into())
}

/// Adds the headers that report the rate limit, if the request was charged.
pub fn insert_rate_limit_headers(headers: &mut HeaderMap, quota: Option<RateLimitStatus>) {
    let Some(quota) = quota else { return };
    let values = [
        (RATE_LIMIT_POLICY, quota.policy_header()),
        (RATE_LIMIT, quota.header()),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

/// Charges the client address of a request for a rejected credential. Returns the error to respond with.
pub async fn charge_rejection<B>(response: &ServiceResponse<B>, rejection: Error) -> Error {
    let req = response.request();
    match (req.app_data::<Data<Operations>>(), client_address(req)) {
        (Some(operations), Some(address)) => operations.charge_rejection(address, rejection).await,
        _ => rejection,
    }
}

/// The address of the client, behind trusted proxies.
pub fn client_address(req: &HttpRequest) -> Option<IpAddr> {
    let peer = req.peer_addr()?.ip();
    match req.app_data::<Data<TrustedProxies>>() {
        Some(proxies) => Some(proxies.client(peer, req.headers())),
        None => Some(peer),
    }
}
