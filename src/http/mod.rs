//! The only module that knows actix.
//!
//! A request passes [`middleware`] (request id, metrics, log, problem documents), is routed by the
//! table in [`routes`], is parsed by the extractors in [`extract`] and [`path`] into values of
//! [`crate::model`], and ends in a handler that calls the operation of its own name in
//! [`crate::operations`] and writes the answer.

mod endpoints;
mod extract;
mod json;
mod live;
mod middleware;
mod path;
mod problem;
mod routes;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Extensions, RequestHead};
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use ipnet::IpNet;
#[cfg(target_os = "linux")]
use rustix::net::sockopt;

pub use actix_web::dev::{Server, ServerHandle};
pub use routes::{Routes, openapi, openapi_yaml};

use self::middleware::site::{OwnHosts, SiteRules};
use crate::auth::Authenticator;
use crate::metrics::Metrics;
use crate::model::OriginPattern;
use crate::operations::Operations;
use crate::realtime::Hub;
use crate::tls::{Certificate, TlsError};

/// How long a client may take for its headers. A body has [`extract`]'s patience.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may leave unacknowledged what was sent to it, or keep its window shut: two
/// heartbeats, at most this. Then the kernel ends the connection: neither a phone that vanished nor a
/// client that stopped reading holds what waits for it (`TCP_USER_TIMEOUT`, RFC 5482; Linux).
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds that requests under way have when the service stops.
const STOP_TIMEOUT_S: u64 = 10;

/// What the HTTP layer is made of.
pub struct Http {
    /// The operations; each worker thread makes its own from them.
    pub operations: Operations,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Tells who calls.
    pub authenticator: Arc<Authenticator>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call and connect.
    pub cors_origins: Vec<OriginPattern>,
    /// Hosts that a service without credentials answers to, besides loopback ones.
    pub hosts: Vec<String>,
    /// Who is connected.
    pub hub: Arc<Hub>,
    /// What to serve beside the operations that are always there.
    pub routes: Routes,
    /// Serves HTTPS if given, HTTP if not.
    pub certificate: Option<Arc<Certificate>>,
    /// Worker threads.
    pub workers: usize,
}

/// A connection that is counted as open for as long as it exists.
struct Counted(Arc<Metrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

impl Http {
    /// Serves on a listener until the returned server is stopped. Signals are left to the caller.
    pub fn serve(self, listener: TcpListener) -> Result<Server, ServeError> {
        let Self {
            operations,
            metrics,
            authenticator,
            routes,
            workers,
            ..
        } = self;
        let origins: Arc<[_]> = self.cors_origins.into();
        let own_hosts = |bind: SocketAddr| OwnHosts {
            bind: bind.ip(),
            names: self.hosts,
        };
        let bind = listener.local_addr()?;
        let sites = Data::new(SiteRules {
            origins: origins.clone(),
            hosts: authenticator.is_open().then(|| own_hosts(bind)),
        });
        let hub = Data::from(self.hub);
        let allowed_methods = routes::AllowedMethods::new(routes);
        let proxies = Data::new(middleware::client_ip::TrustedProxies(self.trusted_proxies));
        let counted = metrics.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(operations.with_own_connection()))
                .app_data(Data::from(metrics.clone()))
                .app_data(Data::from(authenticator.clone()))
                .app_data(proxies.clone())
                .app_data(sites.clone())
                .app_data(hub.clone())
                .wrap(Condition::new(!origins.is_empty(), cors(origins.clone())))
                .wrap(from_fn(middleware::request_log::observe))
                .configure(|config| routes.configure(config, &allowed_methods))
        });
        let server = server
            .workers(workers)
            .disable_signals()
            // An event is small and is not to wait for the next one.
            .tcp_nodelay(true)
            .shutdown_timeout(STOP_TIMEOUT_S)
            .client_request_timeout(HEADER_TIMEOUT)
            .keep_alive(IDLE_TIMEOUT)
            .on_connect(move |_, connection: &mut Extensions| {
                counted.connections.inc();
                connection.insert(Counted(counted.clone()));
            });
        let server = match self.certificate {
            Some(certificate) => {
                server.listen_rustls_0_23(listener, certificate.server_config()?)?
            }
            None => server.listen(listener)?,
        };
        Ok(server.run())
    }
}

/// Sets [`TCP_USER_TIMEOUT`]. Connections have it from the socket that accepts them, which may do so long
/// before they are served; so this comes as soon as there is one.
#[cfg(target_os = "linux")]
pub fn set_tcp_user_timeout(listener: &TcpListener, heartbeat_s: u8) -> Result<(), ServeError> {
    let patience = TCP_USER_TIMEOUT.min(2 * Duration::from_secs(heartbeat_s.into()));
    let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(listener, patience).map_err(std::io::Error::from)?)
}

/// Serves `/metrics` alone, without asking who wants it: on an address of the operator's choice.
pub fn serve_metrics(metrics: Arc<Metrics>, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        let metrics = Data::from(metrics.clone());
        App::new()
            .app_data(metrics)
            .route("/metrics", web::get().to(endpoints::probes::metrics_alone))
            .route("/metrics", web::head().to(endpoints::probes::metrics_alone))
    });
    let server = server
        .workers(1)
        .disable_signals()
        .client_request_timeout(HEADER_TIMEOUT);
    server.listen(listener).map(HttpServer::run)
}

/// Why serving could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What pages of these origins may do: everything that an app does. Credentials are bearer tokens,
/// so cookies stay out.
fn cors(origins: Arc<[OriginPattern]>) -> Cors {
    let is_allowed = move |origin: &HeaderValue, _: &RequestHead| {
        let matches = |origin| origins.iter().any(|pattern| pattern.matches(origin));
        origin.to_str().is_ok_and(matches)
    };
    Cors::default()
        .allowed_origin_fn(is_allowed)
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            HeaderName::from_static("idempotency-key"),
            live::sse::LAST_EVENT_ID,
            middleware::request_log::REQUEST_ID,
        ])
        .expose_headers([
            ETAG,
            endpoints::messages::IDEMPOTENT_REPLAYED,
            LOCATION,
            RETRY_AFTER,
            WWW_AUTHENTICATE,
            middleware::request_log::REQUEST_ID,
            middleware::authenticate::RATE_LIMIT,
            middleware::authenticate::RATE_LIMIT_POLICY,
        ])
        .block_on_origin_mismatch(false)
        .max_age(3600)
}
