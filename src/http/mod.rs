//! The only module that knows actix.
//!
//! A request passes [`middleware`] (request id, metrics, log, problem documents), is routed by the
//! table in [`routes`], is parsed by the extractors in [`extract`] and [`path`] into values of
//! [`crate::model`], and ends in a handler that calls the operation of its own name in
//! [`crate::operations`] and writes the response.

mod endpoints;
mod extract;
mod json;
mod live;
mod middleware;
mod path;
mod problem;
mod routes;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Extensions, RequestHead};
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use ipnet::IpNet;
#[cfg(target_os = "linux")]
use rustix::net::sockopt;

pub use actix_web::dev::{Server, ServerHandle};
pub use routes::{Routes, openapi, openapi_yaml};

use self::middleware::client_ip::TrustedProxies;
use self::middleware::site::{OwnHosts, SiteRules};
use crate::auth::Authenticator;
use crate::metrics::Metrics;
use crate::model::OriginPattern;
use crate::operations::Operations;
use crate::realtime::Hub;
use crate::tls::{Certificate, TlsError};

/// Time limit for receiving the headers of a request. [`extract`] limits that of its body.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Maximum time that sent data may stay unacknowledged, or unsent because the client does not read
/// (`TCP_USER_TIMEOUT`, RFC 5482; Linux only). The limit is two heartbeats, or this if that is less. Then
/// the kernel closes the connection, which frees the buffers of clients that vanished.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds for requests in progress to finish when the service stops.
const STOP_TIMEOUT_S: u64 = 10;

/// What the HTTP layer depends on, and its settings.
pub struct Http {
    /// The operations. Each worker thread uses a copy with its own connection to the store.
    pub operations: Operations,
    /// The metrics, which count requests.
    pub metrics: Arc<Metrics>,
    /// Verifies credentials.
    pub authenticator: Arc<Authenticator>,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the API and open live connections.
    pub cors_origins: Vec<OriginPattern>,
    /// Hosts that a service without credentials answers to, besides loopback ones.
    pub hosts: Vec<String>,
    /// The live connections.
    pub hub: Arc<Hub>,
    /// Which optional routes to serve.
    pub routes: Routes,
    /// The certificate for HTTPS; `None` serves HTTP.
    pub certificate: Option<Arc<Certificate>>,
    /// Number of worker threads.
    pub workers: usize,
}

/// Counts a connection as open until it is dropped.
struct OpenConnection(Arc<Metrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// What extractors and middleware read from the application. All worker threads share it.
#[derive(Clone)]
struct SharedData {
    metrics: Data<Metrics>,
    authenticator: Data<Authenticator>,
    hub: Data<Hub>,
    proxies: Data<TrustedProxies>,
    sites: Data<SiteRules>,
}

impl SharedData {
    fn register(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.metrics.clone())
            .app_data(self.authenticator.clone())
            .app_data(self.hub.clone())
            .app_data(self.proxies.clone())
            .app_data(self.sites.clone());
    }
}

impl Http {
    /// Starts serving on a listener. The returned server runs until it is stopped; it handles no signals.
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
        let bind = listener.local_addr()?.ip();
        let names = self.hosts;
        let hosts = authenticator.is_open().then_some(OwnHosts { bind, names });
        let shared = SharedData {
            metrics: metrics.clone().into(),
            authenticator: authenticator.into(),
            hub: self.hub.into(),
            proxies: Data::new(TrustedProxies(self.trusted_proxies)),
            sites: Data::new(SiteRules {
                origins: origins.clone(),
                hosts,
            }),
        };
        let allowed_methods = routes::AllowedMethods::new(routes);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(operations.with_own_connection()))
                .configure(|config| shared.register(config))
                .wrap(Condition::new(!origins.is_empty(), cors(origins.clone())))
                .wrap(from_fn(middleware::request_log::observe))
                .configure(|config| routes.configure(config, &allowed_methods))
        });
        let server = server
            .workers(workers)
            .disable_signals()
            // Nagle's algorithm would delay small events.
            .tcp_nodelay(true)
            .shutdown_timeout(STOP_TIMEOUT_S)
            .client_request_timeout(HEADER_TIMEOUT)
            .keep_alive(IDLE_TIMEOUT)
            .on_connect(move |_, connection: &mut Extensions| {
                metrics.connections.inc();
                connection.insert(OpenConnection(metrics.clone()));
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

/// Sets [`TCP_USER_TIMEOUT`] on the listening socket, from which connections inherit it. Called before
/// the server starts, because the kernel accepts connections from then on.
#[cfg(target_os = "linux")]
pub fn set_tcp_user_timeout(listener: &TcpListener, heartbeat_s: u8) -> Result<(), ServeError> {
    let timeout = TCP_USER_TIMEOUT.min(2 * Duration::from_secs(heartbeat_s.into()));
    let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(listener, timeout_ms).map_err(std::io::Error::from)?)
}

/// Serves only `/metrics`, without authentication, on a separate address.
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

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The CORS policy: pages of these origins may use the whole API. Cookies are not allowed, because
/// credentials are bearer tokens.
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
