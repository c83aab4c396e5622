//! The only module that knows Redis.
//!
//! Lua scripts make every decision on data, atomically. A method of [`Store`] names the keys, calls
//! the script of the same name (`send_message` runs `lua/messages/send_message.lua`) and types the
//! reply. There is deliberately no trait over the store and no second implementation: tests run
//! against a real Redis.

mod change;
mod connection;
mod conversations;
mod events;
mod function;
mod health;
mod import;
mod inbox;
mod keys;
mod messages;
mod presence;
mod pubsub;
mod rates;
mod redis_mode;
mod reply;
mod retention;
mod schedule;
mod script;
mod settings;
mod users;

use std::sync::Arc;

use deadpool_redis::{Manager, Pool};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisResult,
};
use tokio::time::timeout;

pub use change::ConversationRequest;
pub use health::{Durability, Health};
pub use keys::{Keys, PARTITIONS};
pub use messages::Sent;
pub use presence::PresenceRenewal;
pub use pubsub::{PubSub, PubSubListener, PubSubMessage};
pub use redis::{ClientTlsConfig, TlsCertificates};
pub use redis_mode::RedisMode;
pub use retention::Trimmed;
pub use schedule::DueEntry;
pub use script::{LIBRARY, RetrySafety, SCRIPTS, Script, included};

use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::Retention;
use crate::rate::RateLimited;
use connection::RedisConnection;

/// Maximum number of bytes in a list of messages: 448 KiB. An answer contains at most two such lists, so it
/// stays below 1 MiB.
const PAGE_BYTES: &str = "458752";

/// A handle on the store. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct Store {
    keys: Arc<Keys>,
    metrics: Arc<Metrics>,
    target: Arc<ConnectionInfo>,
    connection: Arc<RedisConnection>,
    retention: Retention,
    /// Connections for administrative commands, which must neither wait for messages nor delay them.
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
            keys: Arc::new(Keys::new().in_database(target.redis_settings().db())),
            metrics,
            target,
            connection,
            retention,
            pool,
        })
    }

    /// A handle with a connection of its own, driven by the runtime that uses it first. Each worker
    /// thread has one, so no thread wakes another and all requests of a thread share a pipeline
    /// (16,400 requests/s, measured; 8,300 with a pooled connection per request).
    pub fn with_own_connection(&self) -> RedisResult<Self> {
        let connection = Arc::new(RedisConnection::new((*self.target).clone())?);
        Ok(Self {
            connection,
            ..self.clone()
        })
    }

    /// A connection of the pool; otherwise the reason why there is none.
    async fn pooled_connection(&self) -> Result<deadpool_redis::Connection, String> {
        self.pool.get().await.map_err(|e| e.to_string())
    }

    /// Checks that a URL is one that [`Store::new`] accepts.
    pub fn check_url(url: &str) -> RedisResult<()> {
        Client::open(url).map(|_| ())
    }

    /// Runs a script and converts its reply.
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
        // A read changes nothing but the rate limit, so its outcome is never unknown.
        let reply = if script.retry == RetrySafety::ReadsOnly {
            reply.map_err(Error::as_read_error)
        } else {
            reply
        };
        redis::from_redis_value(reply?).map_err(|e| {
            let detail = format!(
                "The script {} returned a malformed reply: {e}.",
                script.name
            );
            Error::new(Code::Internal, detail)
        })
    }
}

/// Waits for administrative commands within [`connection::TIMEOUT`]. The reason of a failure becomes the
/// detail of the error. Boxed, so that rare commands do not enlarge the futures of their callers.
fn administered<T>(
    commands: impl Future<Output = Result<T, String>>,
) -> impl Future<Output = Result<T, Error>> {
    let commands = Box::pin(commands);
    async {
        match timeout(connection::TIMEOUT, commands).await {
            Ok(done) => done.map_err(|why| Error::new(Code::Unavailable, why)),
            Err(_) => Err(Code::Unavailable.into()),
        }
    }
}
