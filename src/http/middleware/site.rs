//! Protection against pages of other sites. Browsers do not attach bearer tokens by themselves, but while
//! the service requires no credentials, any page in the browser of its user could act as any user.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::{Payload, RequestHead, ServiceRequest};
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::http::uri::Authority;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use crate::error::{Code, Error};
use crate::model::{OriginPattern, is_origin_of};

/// The relation of the requesting page to the service (Fetch Metadata). Pages cannot set this header.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The rules for hosts and pages.
pub struct SiteRules {
    /// Origins whose pages may call, besides the service's own.
    pub origins: Arc<[OriginPattern]>,
    /// The hosts that the service answers to. `None` answers to every host, because credentials are required.
    pub hosts: Option<OwnHosts>,
}

/// The hosts of a service without credentials, besides the names and addresses of the loopback
/// interface.
pub struct OwnHosts {
    /// The address that the service listens on.
    pub bind: IpAddr,
    /// The names in `DUOLOGUE_HOSTS`.
    pub names: Vec<String>,
}

impl OwnHosts {
    fn contains(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let last_label = host.rsplit('.').next().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_own = |address: IpAddr| {
            let address = address.to_canonical();
            address.is_loopback() || address == self.bind.to_canonical()
        };
        last_label.eq_ignore_ascii_case("localhost")
            || address.parse().is_ok_and(is_own)
            || self
                .names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host))
    }
}

impl SiteRules {
    /// Refuses hosts other than the service's own. This prevents DNS rebinding: if `evil.example` resolves to
    /// 127.0.0.1, its pages have the same origin as the service, and no other check refuses them.
    fn check_host(&self, head: &RequestHead) -> Result<(), Error> {
        let Some(hosts) = &self.hosts else {
            return Ok(());
        };
        let named = head.headers.get(HOST).map(HeaderValue::as_bytes);
        let target = head
            .uri
            .authority()
            .map(|target| target.as_str().as_bytes());
        let is_own = |host: &[u8]| {
            Authority::try_from(host).is_ok_and(|authority| hosts.contains(authority.host()))
        };
        if named.into_iter().chain(target).all(is_own) {
            return Ok(());
        }
        let why = "without credentials the service answers to localhost and to the names in \
            DUOLOGUE_HOSTS only";
        Err(Error::field(Code::MisdirectedRequest, "/header/host", why))
    }

    /// Refuses a request that a browser makes for a page of another site.
    fn check_page(&self, headers: &HeaderMap) -> Result<(), Error> {
        let header = |name: &HeaderName| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap_or_default())
        };
        let origin = header(&ORIGIN);
        let is_own = match header(&SEC_FETCH_SITE) {
            Some(site) => matches!(site, "same-origin" | "none"),
            // Only browsers send `Origin`, and old ones send nothing else.
            None => origin
                .is_none_or(|origin| header(&HOST).is_some_and(|host| is_origin_of(origin, host))),
        };
        let is_allowed = |origin: &str| self.origins.iter().any(|pattern| pattern.matches(origin));
        if is_own || origin.is_some_and(is_allowed) {
            return Ok(());
        }
        let pointer = match origin {
            Some(_) => "/header/origin",
            None => "/header/sec-fetch-site",
        };
        let why = "pages of this origin may not call the service; DUOLOGUE_CORS_ORIGINS lists those that may";
        Err(Error::field(Code::Forbidden, pointer, why))
    }
}

/// Refuses requests to another host, and requests with an unsafe method from pages of another site.
pub fn check(req: &ServiceRequest) -> Result<(), Error> {
    let rules = rules(req.request())?;
    rules.check_host(req.head())?;
    if req.method().is_safe() {
        return Ok(());
    }
    rules.check_page(req.headers())
}

/// Refuses every request from a page of another site, also a `GET`.
pub fn check_page(req: &HttpRequest) -> Result<(), Error> {
    rules(req)?.check_page(req.headers())
}

fn rules(req: &HttpRequest) -> Result<&SiteRules, Error> {
    let rules = req.app_data::<Data<SiteRules>>();
    // Always set. If they were missing, the request would be refused.
    rules.map(Data::get_ref).ok_or(Code::Internal.into())
}

/// An argument of handlers of a `GET` with side effects: refuses pages of another site.
pub struct OwnSite;

impl FromRequest for OwnSite {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(check_page(req).map(|()| Self))
    }
}
