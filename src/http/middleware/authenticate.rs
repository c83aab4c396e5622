//! Who calls, and how often: the credential of a request, the headers that tell a caller its
//! quota, and a limit on failing to show a credential.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};

use actix_web::dev::{Payload, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::client_ip::TrustedProxies;
use crate::auth::{Authenticator, Caller, Identity};
use crate::error::{Code, Error};
use crate::rate::{Limit, Policy, RateLimitRequest, RateLimitStatus};
use crate::store::Store;

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// See [`RATE_LIMIT_POLICY`].
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What each caller may ask for; `None` sets no limit.
#[derive(Clone, Copy, Default)]
pub struct Policies {
    /// Messages sent.
    pub send: Option<Policy>,
    /// All other requests.
    pub request: Option<Policy>,
    /// Credentials refused, of each address.
    pub failure: Option<Policy>,
}

impl Policies {
    /// The policies of the rates that were configured.
    pub fn new(send: Limit, request: Limit, failure: Limit) -> Self {
        let policy = |name, Limit(rate): Limit| rate.map(|rate| Policy { name, rate });
        Self {
            send: policy("send", send),
            request: policy("request", request),
            failure: policy("failure", failure),
        }
    }
}

/// Every handler that acts for somebody takes one of these first, so that a request without a
/// credential is refused before any other part of it is looked at.
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

/// Who shows the `Authorization` of this request.
pub fn identify(req: &HttpRequest) -> Result<Identity, Error> {
    let mut shown = req.headers().get_all(AUTHORIZATION);
    let first = shown.next().map(HeaderValue::as_bytes);
    if shown.next().is_some() {
        // A proxy in front may have looked at the other one.
        let why = "there is more than one `Authorization` header";
        return Err(Error::new(Code::Unauthenticated, why));
    }
    authenticator(req)?.authenticate(first)
}

/// What tells who calls.
pub fn authenticator(req: &HttpRequest) -> Result<&Authenticator, Error> {
    let data = req.app_data::<Data<Authenticator>>();
    // Cannot be missing, and if it were, nobody should get in.
    data.map(Data::get_ref).ok_or(Code::Internal.into())
}

/// Tells a caller what it has left.
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

/// Charges the address that a request came from for a credential that was refused. The answer is
/// the refusal to give: the same one, or that there were too many. A store that cannot be reached
/// leaves it at the same one. Guessing is hopeless anyway; this bounds what it costs and what it
/// writes into the log.
pub async fn charge_failure<B>(response: &ServiceResponse<B>, refusal: Error) -> Error {
    let req = response.request();
    let (Some(store), Some(address)) = (req.app_data::<Data<Store>>(), client_address(req)) else {
        return refusal;
    };
    let policies = req.app_data::<Data<Policies>>();
    let Some(policy) = policies.and_then(|policies| policies.failure) else {
        return refusal;
    };
    // Colons of an IPv6 address are as good as any other character at the end of a key.
    let caller = charged(address);
    let charge = RateLimitRequest { policy, caller };
    match store.charge_rate(&charge).await {
        Err(limited) if limited.quota.is_some() => limited,
        _ => refusal,
    }
}

/// The address as it is charged: of an IPv6 address the network, since whoever has one address has
/// the 2^64 around it.
fn charged(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string() + "/64"
        }
    }
}

/// Where a request came from.
fn client_address(req: &HttpRequest) -> Option<IpAddr> {
    let peer = req.peer_addr()?.ip();
    match req.app_data::<Data<TrustedProxies>>() {
        Some(proxies) => Some(proxies.client(peer, req.headers())),
        None => Some(peer),
    }
}
