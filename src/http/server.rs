//! The HTTP server: what it depends on, and the middleware around every route.

use std::net::TcpListener;
use std::sync::Arc;

use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use ipnet::IpNet;

use super::connection::{self, RequestInProgress};
use super::endpoints::probes;
use super::listen::{ServeError, listen};
use super::middleware::client_ip::TrustedProxies;
use super::middleware::site::{OwnHosts, SiteRules};
use super::middleware::{cors, request_log};
use super::routes::{AllowedMethods, Routes};
use crate::auth::Authenticator;
use crate::metrics::Metrics;
use crate::model::OriginPattern;
use crate::operations::Operations;
use crate::realtime::Hub;
use crate::tls::Certificate;

/// Maximum number of connections besides the live ones. Each takes 20 KB.
const MAX_OTHERS: usize = 25_000;
/// Maximum number of connections to the address of the metrics.
const MAX_SCRAPERS: usize = 16;

/// What the HTTP layer depends on, and its settings.
pub struct Http {
    /// The operations. Each worker thread uses a copy with its own connection to the store.
    pub operations: Operations,
    /// The metrics, which count requests.
    pub metrics: Arc<Metrics>,
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
    pub workers: usize,
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
        let max_live = self.hub.max_connections();
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
        let allowed_methods = AllowedMethods::new(routes);
        let limit = max_live.saturating_add(MAX_OTHERS);
        let app = move || {
            let cors = Condition::new(!origins.is_empty(), cors::cors(origins.clone()));
            let app = App::new()
                .app_data(Data::new(operations.with_own_connection()))
                .configure(|config| shared.register(config))
                .wrap(cors)
                .wrap(from_fn(request_log::observe))
                .configure(|config| routes.configure(config, &allowed_methods));
            let app = app.into_factory().map_err(|error| error.error_response());
            map_config(app, |()| AppConfig::default())
        };
        listen(listener, self.certificate, workers, limit, metrics, app)
    }
}

/// Serves only `/metrics`, without authentication, on a separate address.
pub fn serve_metrics(metrics: Arc<Metrics>, listener: TcpListener) -> Result<Server, ServeError> {
    let shown = Data::from(metrics);
    let app = move || {
        let app = App::new()
            .app_data(shown.clone())
            .wrap(from_fn(follow))
            .route("/metrics", web::get().to(probes::metrics_alone))
            .route("/metrics", web::head().to(probes::metrics_alone));
        let app = app.into_factory().map_err(|error| error.error_response());
        map_config(app, |()| AppConfig::default())
    };
    // They are counted apart, so that they take no room from those of clients.
    let counted = Arc::new(Metrics::new());
    listen(listener, None, 1, MAX_SCRAPERS, counted, app)
}

/// Counts the requests in progress of each connection.
async fn follow(
    req: ServiceRequest,
    next: Next<impl MessageBody + Unpin + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let in_progress = RequestInProgress::of(req.request());
    let response = next.call(req).await?;
    Ok(connection::finish(response, in_progress))
}
