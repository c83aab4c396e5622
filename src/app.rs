//! The service as a whole: build, serve, shut down.

mod banner;

use std::future::{Future, pending};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::archive::Archive;
use crate::auth::{Authenticator, Jwks};
use crate::config;
use crate::config::{AccessError, Config, RoomCreators};
use crate::embedded_redis::{RedisProcess, StartError};
use crate::error::{Code, Error};
use crate::http;
use crate::http::{Http, Routes, ServeError, Server, ServerHandle};
use crate::metrics::Metrics;
use crate::model::WebhookNetworks;
use crate::operations;
use crate::operations::Operations;
use crate::rate::Policies;
use crate::realtime::{Hub, Limits};
use crate::store::{ArchivePolicy, Health, RedisMode, Store};
use crate::tls::{Certificate, TlsError};
use crate::worker;
use crate::worker::feed::FeedRetention;
use crate::worker::webhooks::WebhookSettings;
use crate::worker::{Background, Workers};

/// How long an external Redis may take to answer at start. It often starts together with the
/// service.
const REDIS_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("cannot serve on {0}: {1} ({2})")]
    Bind(SocketAddr, io::Error, &'static str),
    #[error(
        "{0} is reachable from other machines, but no secret is configured: set \
         DUOLOGUE_SERVICE_KEYS (`duologue key` makes a key) or DUOLOGUE_JWT_SECRET, or bind to \
         127.0.0.1"
    )]
    NoSecret(SocketAddr),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Embedded(#[from] StartError),
    #[error("no connection to the Redis at DUOLOGUE_REDIS_URL: {0}")]
    NoRedis(Error),
    #[error(
        "the Redis at DUOLOGUE_REDIS_URL is a node of a Redis Cluster: use \
         redis+cluster://HOST:PORT,HOST:PORT (rediss+cluster:// for TLS) with some of its nodes"
    )]
    ClusterNode,
    #[error(
        "DUOLOGUE_REDIS_URL is the address of a Redis Sentinel: use \
         redis+sentinel://HOST:PORT,HOST:PORT/SERVICE (rediss+sentinel:// for TLS) with the sentinels and \
         the name of the master that they watch"
    )]
    SentinelNode,
    #[error("Redis {0} is too old; Duologue requires 7.0 or later")]
    OldRedis(String),
    #[error("the private Redis keeps failing; see {0}")]
    RedisFailed(String),
    #[error(
        "the ACL of Redis does not permit these calls to its user: {0} (docs/operations.md has the rules)"
    )]
    RedisPermissions(String),
    #[error("the store cannot be used: {0}")]
    Store(Error),
    #[error("the archive at DUOLOGUE_ARCHIVE cannot be written: {0}")]
    Archive(String),
    #[error("DUOLOGUE_REDIS_URL is invalid: {0}")]
    RedisUrl(String),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the HTTP server stopped: {0}")]
    Stopped(#[from] io::Error),
}

/// A service that is ready to serve: its addresses are bound and its store is open.
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
    /// The private Redis, unless an external one is configured.
    redis: Option<RedisProcess>,
}

impl App {
    /// Reads the secrets, binds the addresses, starts the private Redis unless an external one is
    /// configured, and opens the store.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        // redis-rs and reqwest need one. Only the first call in a process, which in tests has several
        // services, succeeds.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (authenticator, jwks) = config.access.authenticator().await?;
        if authenticator.is_open() && !config.bind.ip().is_loopback() {
            return Err(AppError::NoSecret(config.bind));
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

    /// The address it listens on, with the actual port if the configured one is 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The separate address of `/metrics`, if one is configured.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
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
            archive: self.config.archive_url().is_some(),
            feed: FeedRetention {
                keep: self.config.feed.feed_keep,
                events: self.config.feed.feed_limit,
            },
            webhooks: WebhookSettings {
                networks: self.webhook_networks(),
                first_wait: self.config.feed.webhook_wait,
                timeout: self.config.feed.webhook_timeout,
            },
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

    /// Where webhooks may be sent. An open service, which is for development, sends them to its own machine too.
    fn webhook_networks(&self) -> WebhookNetworks {
        let own = self.config.feed.webhook_networks.clone();
        WebhookNetworks::new(own, self.authenticator.is_open())
    }

    /// The servers, and the private Redis, which outlives them.
    fn serve(self, hub: Arc<Hub>) -> Result<(Vec<Server>, Option<RedisProcess>), AppError> {
        let Config {
            access,
            network,
            live,
            rooms,
            ..
        } = &self.config;
        let settings = operations::Settings {
            policies: Policies::new(
                access.send_rate,
                access.request_rate,
                access.key_rate,
                access.failure_rate,
            ),
            delivered_receipts: live.delivered,
            users_create_rooms: rooms.rooms == RoomCreators::Users,
            room_members: rooms.room_members,
            webhook_networks: self.webhook_networks(),
        };
        let server = Http {
            operations: Operations::new(self.store, self.metrics.clone(), settings),
            hub,
            trusted_proxies: network.trusted_proxies.clone(),
            cors_origins: network.cors_origins.clone(),
            hosts: network.hosts.clone(),
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

/// A service that is serving.
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
        let redis_failed = async {
            match &mut self.redis {
                Some(redis) => redis.failed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            log = redis_failed => AppError::RedisFailed(log),
            Some(ended) = self.servers.join_next() => {
                let ended = ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
                AppError::Stopped(ended.err().unwrap_or_else(|| io::Error::other("unexpected end")))
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

/// A store on the external Redis, or on a private one that is started first.
async fn connect(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<(Store, Option<RedisProcess>), AppError> {
    let (url, redis) = match &config.redis_url {
        Some(url) => (url.clone(), None),
        None => {
            let redis =
                RedisProcess::start(&config.data_dir, config.fsync, config.maxmemory).await?;
            (redis.url(), Some(redis))
        }
    };
    let certificates = config.network.redis_certificates()?;
    let store = Store::new(&url, certificates, config.retention(), metrics.clone());
    let store = store.map_err(AppError::RedisUrl)?;
    let mut store = store.with_replicas(config.replicas);
    if let Some(url) = config.archive_url() {
        let (archive, policy) = open_archive(&url, &config.archive, metrics).await?;
        store = store.with_archive(archive, policy);
    }
    if config.two_steps {
        store = store.in_two_steps();
    }
    Ok((store, redis))
}

/// The archive, which must be writable.
async fn open_archive(
    url: &str,
    settings: &config::ArchiveSettings,
    metrics: Arc<Metrics>,
) -> Result<(Archive, ArchivePolicy), AppError> {
    let archive = Archive::open(url, metrics).map_err(AppError::Archive)?;
    archive.check_writable().await.map_err(AppError::Archive)?;
    let policy = ArchivePolicy {
        hot: settings.hot_messages,
        segment: settings.archive_segment,
        grace: settings.archive_grace,
    };
    Ok((archive, policy))
}

/// Waits until Redis answers, which it does when it has loaded its data, checks its version and its
/// permissions, and opens the store.
async fn open(store: &Store) -> Result<Health, AppError> {
    let deadline = Instant::now() + REDIS_TIMEOUT;
    let found = available_by(deadline, || store.find_nodes()).await;
    found.map_err(AppError::NoRedis)?;
    let mode = available_by(deadline, || store.redis_mode()).await;
    match mode.map_err(AppError::NoRedis)? {
        RedisMode::Cluster if !store.is_cluster() => return Err(AppError::ClusterNode),
        RedisMode::Sentinel => return Err(AppError::SentinelNode),
        _ => {}
    }
    let health = available_by(deadline, || store.health()).await;
    let health = health.map_err(AppError::NoRedis)?;
    if let Some(version) = health.outdated_version() {
        return Err(AppError::OldRedis(version.to_owned()));
    }
    for warning in health.warnings() {
        tracing::warn!("{warning}");
    }
    let refused = available_by(deadline, || store.check_permissions()).await;
    let refused = refused.map_err(AppError::Store)?;
    if !refused.is_empty() {
        return Err(AppError::RedisPermissions(refused.join(", ")));
    }
    let opened = available_by(deadline, || store.open_store()).await;
    opened.map_err(AppError::Store)?;
    if let Err(error) = store.delete_old_functions().await {
        tracing::debug!(%error, "the functions of other versions were not deleted");
    }
    Ok(health)
}

/// Repeats a call of the store until Redis is available, or the deadline has passed.
async fn available_by<T, F: Future<Output = Result<T, Error>>>(
    deadline: Instant,
    call: impl Fn() -> F,
) -> Result<T, Error> {
    loop {
        match call().await {
            Err(error) if error.code == Code::Unavailable && Instant::now() < deadline => {
                sleep(Duration::from_millis(100)).await;
            }
            result => return result,
        }
    }
}
