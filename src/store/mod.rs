//! The only module that knows Redis.
//!
//! Every decision on data is taken in a Lua script, atomically; a method of [`Store`] names the
//! keys, calls the script of its own name (`send_message` runs `lua/messages/send_message.lua`) and gives
//! the reply a type. There is deliberately no trait over the store and no second implementation:
//! tests run against a real Redis.

mod change;
mod connection;
mod conversations;
mod events;
mod health;
mod import;
mod inbox;
mod keys;
mod live;
mod messages;
mod presence;
mod rates;
mod reply;
mod retention;
mod script;
mod users;

use std::sync::Arc;

use deadpool_redis::{Manager, Pool};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisResult,
};

pub use change::ConversationRequest;
pub use health::{Durability, Health};
pub use keys::{Keys, PARTITIONS};
pub use live::{PubSub, PubSubListener, PubSubMessage};
pub use messages::Sent;
pub use presence::Renewed;
pub use redis::{ClientTlsConfig, TlsCertificates};
pub use retention::Trimmed;
pub use script::{LIBRARY, RetrySafety, SCRIPTS, Script, included};

use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::Retention;
use crate::rate::RateLimited;
use connection::RedisConnection;

/// A handle on the store. Cheap to clone; clones share one connection. [`Store::another`] makes a
/// handle with a connection of its own.
#[derive(Clone)]
pub struct Store {
    keys: Arc<Keys>,
    metrics: Arc<Metrics>,
    target: Arc<ConnectionInfo>,
    connection: Arc<RedisConnection>,
    retention: Retention,
    /// For administrative commands, which must not wait behind messages nor hold them up.
    pool: Pool,
}

impl Store {
    /// A store at a Redis URL (`redis://`, `rediss://`, `unix://`). Connects on first use.
    /// Certificates are for `rediss://`; without them the system's authorities are trusted.
    pub fn new(
        url: &str,
        certificates: Option<TlsCertificates>,
        retention: Retention,
        metrics: Arc<Metrics>,
    ) -> RedisResult<Self> {
        let url = match certificates {
            None => url.into_connection_info()?,
            Some(certificates) => Client::build_with_tls(url, certificates)?
                .get_connection_info()
                .clone(),
        };
        let target = Arc::new(connection::connection_info(url));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connection::TIMEOUT))
            .set_response_timeout(Some(connection::TIMEOUT));
        let pool = Pool::builder(Manager::new_with_config((*target).clone(), config)?)
            .max_size(2)
            .build()
            .map_err(|e| (redis::ErrorKind::InvalidClientConfig, "pool", e.to_string()))?;
        let connection = Arc::new(RedisConnection::new((*target).clone())?);
        Ok(Self {
            keys: Arc::new(Keys::new()),
            metrics,
            target,
            connection,
            retention,
            pool,
        })
    }

    /// A handle with its own connection, driven by the runtime that uses it first. One for each
    /// worker thread: no thread wakes another, and all requests of a thread share a pipeline
    /// (measured: 16.4k requests/s against 8.3k with a pooled connection per request).
    pub fn with_own_connection(&self) -> RedisResult<Self> {
        let connection = Arc::new(RedisConnection::new((*self.target).clone())?);
        Ok(Self {
            connection,
            ..self.clone()
        })
    }

    /// Whether this is a URL the store can be made with.
    pub fn check_url(url: &str) -> RedisResult<()> {
        Client::open(url).map(|_| ())
    }

    /// Runs a script and gives its reply a type.
    async fn run<T: FromRedisValue>(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<T, Error> {
        self.call(script, script.retry, keys, args).await
    }

    async fn call<T: FromRedisValue>(
        &self,
        script: &'static Script,
        retry: RetrySafety,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<T, Error> {
        let timer = self.metrics.script_seconds(script.name).start_timer();
        let reply = self.connection.call(script, retry, keys, args).await;
        timer.observe_duration();
        // A token that was taken for reading is nothing a caller must know of.
        let reply = if script.retry == RetrySafety::ReadsOnly {
            reply.map_err(Error::as_read_error)
        } else {
            reply
        };
        redis::from_redis_value(reply?).map_err(|e| {
            let detail = format!("{} answered out of form: {e}", script.name);
            Error::new(Code::Internal, detail)
        })
    }
}
