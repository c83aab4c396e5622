//! The service as a whole: build, run, stop.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::error::Error;
use crate::http::Http;
use crate::metrics::Metrics;
use crate::redis_process::{self, RedisProcess};
use crate::store::{Health, Store};

/// How long a Redis of the user's own may take to appear at start. It is usually started beside
/// the service, by the same hand.
const REDIS_PATIENCE: Duration = Duration::from_secs(15);

/// Why the service did not start or stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AppError {
    #[error("cannot serve on {0}: {1} (DUOLOGUE_BIND)")]
    Bind(SocketAddr, io::Error),
    #[error(transparent)]
    Embedded(#[from] redis_process::StartError),
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
    #[error("the HTTP server stopped: {0}")]
    Serve(#[from] io::Error),
}

/// A service that is built and listens, but does not serve yet.
pub struct App {
    config: Config,
    listener: TcpListener,
    store: Store,
    metrics: Arc<Metrics>,
    health: Health,
    /// The private Redis, unless the user has one.
    redis: Option<RedisProcess>,
}

impl App {
    /// Binds the address, starts the private Redis if there is to be one, and opens the store.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        let bind = config.bind;
        let listener = TcpListener::bind(bind).map_err(|e| AppError::Bind(bind, e))?;
        let (redis, url) = match &config.redis_url {
            Some(url) => (None, url.clone()),
            None => {
                let redis = RedisProcess::start(&config.data_dir, config.fsync).await?;
                let url = redis.url();
                (Some(redis), url)
            }
        };
        let metrics = Arc::new(Metrics::new());
        let store = Store::new(&url, metrics.clone()).map_err(|e| AppError::Url(e.to_string()))?;
        let health = wait_for(&store).await.map_err(AppError::NoRedis)?;
        if !health.is_recent_enough() {
            return Err(AppError::OldRedis(health.version));
        }
        for warning in health.durability.warnings() {
            tracing::warn!("{warning}");
        }
        store.open_store().await.map_err(AppError::Store)?;
        Ok(Self {
            config,
            listener,
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

    /// What a person wants to know when it starts.
    pub fn banner(&self) -> String {
        let address = self.address().unwrap_or(self.config.bind);
        let durability = &self.health.durability;
        let data = match (&self.config.redis_url, durability.appendfsync.as_deref()) {
            (Some(_), _) => "your Redis (DUOLOGUE_REDIS_URL)".to_owned(),
            (None, _) => self.config.data_dir.display().to_string(),
        };
        let safe = match durability.appendfsync.as_deref() {
            Some("always") if durability.appendonly => {
                "a message is on disk before it is acknowledged"
            }
            Some("everysec") if durability.appendonly => "flushed to disk every second",
            _ => "weak; see /readyz",
        };
        let open = if address.ip().is_loopback() {
            "to everybody on this machine, and nobody else"
        } else {
            "TO EVERYBODY WHO REACHES THIS ADDRESS"
        };
        let Health { version, .. } = &self.health;
        format!(
            "Duologue {} on http://{address}\n  \
             API     http://{address}/docs\n  \
             data    {data} (Redis {version}; {safe})\n  \
             open    {open}",
            env!("CARGO_PKG_VERSION"),
        )
    }

    /// Serves until `stop`, then finishes what was begun, then stops the private Redis.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let Self {
            config,
            listener,
            store,
            metrics,
            mut redis,
            ..
        } = self;
        let server = Http {
            store,
            metrics,
            workers: config.workers(),
        }
        .serve(listener)?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        let died = async {
            match &mut redis {
                Some(redis) => redis.died().await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            () = stop => Ok(()),
            log = died => Err(AppError::RedisDied(log)),
        };
        handle.stop(true).await;
        let served = serving.await;
        if let Some(redis) = redis {
            redis.stop().await;
        }
        outcome?;
        served.map_err(io::Error::other)??;
        Ok(())
    }
}

/// Waits until Redis answers, loading included.
async fn wait_for(store: &Store) -> Result<Health, Error> {
    let deadline = Instant::now() + REDIS_PATIENCE;
    loop {
        match store.health().await {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(100)).await,
            ready => return ready,
        }
    }
}
