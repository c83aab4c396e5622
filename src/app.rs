//! The service as a whole: build, run, stop.

use std::future::{Future, pending};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::auth::{Authenticator, Jwks};
use crate::config;
use crate::config::{AccessError, Config};
use crate::embedded_redis::{RedisProcess, StartError};
use crate::error::Error;
use crate::http;
use crate::http::{Http, Routes, ServeError, Server, ServerHandle};
use crate::metrics::Metrics;
use crate::operations;
use crate::operations::Operations;
use crate::rate::Policies;
use crate::realtime::{Hub, Limits};
use crate::store::{Health, Store};
use crate::tls::{Certificate, TlsError};
use crate::worker;
use crate::worker::{Background, Workers};

/// How long a Redis of the user's own may take to appear at start. It is usually started beside
/// the service, by the same hand.
const REDIS_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the service did not start or stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AppError {
    #[error("cannot serve on {0}: {1} ({2})")]
    Bind(SocketAddr, io::Error, &'static str),
    #[error(
        "{0} can be reached from other machines and nobody would be asked who they are: set \
         DUOLOGUE_SERVICE_KEYS (duologue key makes one) or DUOLOGUE_JWT_SECRET, or bind to 127.0.0.1"
    )]
    Open(SocketAddr),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Embedded(#[from] StartError),
    #[error("no Redis at DUOLOGUE_REDIS_URL: {0}")]
    NoRedis(Error),
    #[error("this Redis is version {0}; Duologue needs 7.0 or later")]
    OldRedis(String),
    #[error("the private Redis died again and again; see {0}")]
    RedisDied(String),
    #[error("the store cannot be used: {0}")]
    Store(Error),
    #[error("the address in DUOLOGUE_REDIS_URL cannot be used: {0}")]
    Url(String),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the HTTP server stopped: {0}")]
    Stopped(#[from] io::Error),
}

/// A service that is built and listens, but does not serve yet.
pub struct App {
    config: Config,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    certificate: Option<Arc<Certificate>>,
    authenticator: Authenticator,
    jwks: Option<Arc<Jwks>>,
    store: Store,
    metrics: Arc<Metrics>,
    health: Health,
    /// The private Redis, unless the user has one.
    redis: Option<RedisProcess>,
}

impl App {
    /// Binds the addresses, reads the secrets, starts the private Redis if there is to be one, and
    /// opens the store.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        // redis-rs and reqwest ask for one; a second call, in tests, finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (authenticator, jwks) = config.access.authenticator().await?;
        if authenticator.is_open() && !config.bind.ip().is_loopback() {
            return Err(AppError::Open(config.bind));
        }
        let network = &config.network;
        let pem = network.tls_cert.as_deref().zip(network.tls_key.as_deref());
        let certificate = pem
            .map(|(cert, key)| Certificate::open(cert, key))
            .transpose()?;
        let listener = bind(config.bind, "DUOLOGUE_BIND")?;
        #[cfg(target_os = "linux")]
        http::set_tcp_user_timeout(&listener, config.live.heartbeat)?;
        let metrics_listener = network
            .metrics_bind
            .map(|address| bind(address, "DUOLOGUE_METRICS_BIND"));
        let metrics = Arc::new(Metrics::new());
        let (store, redis) = connect(&config, metrics.clone()).await?;
        let health = open(&store).await?;
        Ok(Self {
            metrics_listener: metrics_listener.transpose()?,
            config,
            listener,
            certificate,
            authenticator,
            jwks,
            store,
            metrics,
            health,
            redis,
        })
    }

    /// The address it listens on; of interest when port 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of `/metrics`, if it has its own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// What a person wants to know when it starts.
    pub fn banner(&self) -> String {
        let address = self.address().unwrap_or(self.config.bind);
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let data = match self.config.redis_url {
            Some(_) => "your Redis (DUOLOGUE_REDIS_URL)".to_owned(),
            None => self.config.data_dir.display().to_string(),
        };
        let durability = &self.health.durability;
        let safe = match durability.appendfsync.as_deref() {
            Some("always") if durability.appendonly => {
                "a message is on disk before it is acknowledged"
            }
            Some("everysec") if durability.appendonly => "flushed to disk every second",
            _ => "weak; see /readyz",
        };
        let who = match (&self.authenticator.tokens, &self.authenticator.keys) {
            (None, None) => {
                "everybody on this machine: no secret is set, so it is open on loopback"
            }
            (Some(_), None) => "users with a token",
            (None, Some(_)) => "backends with a service key",
            (Some(_), Some(_)) => "users with a token, backends with a service key",
        };
        let Health { version, .. } = &self.health;
        format!(
            "Duologue {} on {scheme}://{address}\n  \
             page    {scheme}://{address}/ (a messenger)\n  \
             docs    {scheme}://{address}/docs (Swagger UI)\n  \
             data    {data} (Redis {version}; {safe})\n  \
             access  {who}",
            env!("CARGO_PKG_VERSION"),
        )
    }

    /// Serves until `stop`, a failure of the private Redis or of a server, then shuts down.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let mut running = self.start()?;
        let outcome = tokio::select! {
            () = stop => Ok(()),
            failure = running.failed() => Err(failure),
        };
        running.shut_down().await;
        outcome
    }

    /// Starts the servers, then the workers.
    fn start(self) -> Result<Running, AppError> {
        let limits = limits(&self.config.live);
        let (hub, listener, presence_changes) = Hub::new(&self.store, limits, self.metrics.clone());
        let background = Background {
            store: self.store.clone(),
            hub: hub.clone(),
            listener,
            presence_changes,
            retention: self.config.retention().is_limited(),
            jwks: self.jwks.clone(),
            certificate: self.certificate.clone(),
        };
        let metrics = self.metrics.clone();
        let (servers, redis) = self.serve(hub.clone())?;
        Ok(Running {
            hub,
            handles: servers.iter().map(Server::handle).collect(),
            servers: servers.into_iter().collect(),
            workers: worker::start(background, metrics),
            redis,
        })
    }

    /// The servers, and the private Redis, which outlives them.
    fn serve(self, hub: Arc<Hub>) -> Result<(Vec<Server>, Option<RedisProcess>), AppError> {
        let Config {
            access,
            network,
            live,
            ..
        } = &self.config;
        let settings = operations::Settings {
            policies: Policies::new(access.send_rate, access.request_rate, access.failure_rate),
            delivered_receipts: live.delivered,
        };
        let server = Http {
            operations: Operations::new(self.store, self.metrics.clone(), settings),
            hub,
            trusted_proxies: network.trusted_proxies.clone(),
            cors_origins: network.cors_origins.clone(),
            routes: Routes {
                docs: network.docs,
                page: network.page,
                metrics: self.metrics_listener.is_none(),
            },
            workers: self.config.workers(),
            metrics: self.metrics.clone(),
            authenticator: Arc::new(self.authenticator),
            certificate: self.certificate,
        };
        let mut servers = vec![server.serve(self.listener)?];
        if let Some(listener) = self.metrics_listener {
            servers.push(http::serve_metrics(self.metrics, listener)?);
        }
        Ok((servers, self.redis))
    }
}

/// A service that serves.
struct Running {
    hub: Arc<Hub>,
    servers: JoinSet<io::Result<()>>,
    handles: Vec<ServerHandle>,
    workers: Workers,
    redis: Option<RedisProcess>,
}

impl Running {
    /// Waits for a failure that ends the service.
    async fn failed(&mut self) -> AppError {
        let redis_died = async {
            match &mut self.redis {
                Some(redis) => redis.died().await,
                None => pending().await,
            }
        };
        tokio::select! {
            log = redis_died => AppError::RedisDied(log),
            Some(ended) = self.servers.join_next() => {
                let ended = ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
                AppError::Stopped(ended.err().unwrap_or_else(|| io::Error::other("it ended")))
            }
        }
    }

    /// Stops in this order: `/readyz` answers 503 and live connections close with 1012; servers
    /// finish the requests in progress; workers finish their steps, so that the store knows who
    /// went offline; last the private Redis.
    async fn shut_down(mut self) {
        self.hub.close().await;
        for handle in self.handles {
            handle.stop(true).await;
        }
        while self.servers.join_next().await.is_some() {}
        self.workers.stop().await;
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
    }
}

/// The limits of live connections.
fn limits(live: &config::Live) -> Limits {
    let number = |of: NonZeroU32| usize::try_from(of.get()).unwrap_or(usize::MAX);
    Limits {
        per_user: number(live.connections_per_user),
        total: number(live.connections),
        heartbeat_s: live.heartbeat,
    }
}

fn bind(address: SocketAddr, variable: &'static str) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).map_err(|e| AppError::Bind(address, e, variable))
}

/// A store on the user's Redis, or on a private one that is started.
async fn connect(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<(Store, Option<RedisProcess>), AppError> {
    let (url, redis) = match &config.redis_url {
        Some(url) => (url.clone(), None),
        None => {
            let redis = RedisProcess::start(&config.data_dir, config.fsync).await?;
            (redis.url(), Some(redis))
        }
    };
    let certificates = config.network.redis_certificates()?;
    let store = Store::new(&url, certificates, config.retention(), metrics);
    Ok((store.map_err(|e| AppError::Url(e.to_string()))?, redis))
}

/// Waits until Redis answers, loading included, and makes sure that it is one to rely on.
async fn open(store: &Store) -> Result<Health, AppError> {
    let deadline = Instant::now() + REDIS_TIMEOUT;
    let health = loop {
        match store.health().await {
            Ok(health) => break health,
            Err(error) if Instant::now() > deadline => return Err(AppError::NoRedis(error)),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    };
    if !health.is_recent_enough() {
        return Err(AppError::OldRedis(health.version));
    }
    for warning in health.durability.warnings() {
        tracing::warn!("{warning}");
    }
    store.open_store().await.map_err(AppError::Store)?;
    Ok(health)
}
