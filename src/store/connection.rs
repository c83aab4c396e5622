//! One shared connection, and the rules for retries.
//!
//! A connection keeps track of whether a script may have run. A call that Redis refused before
//! running it (`LOADING`, `READONLY`, ...) is retried for [`RETRY_WINDOW`]. A call without a reply is
//! retried only if that is safe (see [`RetrySafety`]); otherwise the error is `OUTCOME_UNKNOWN`. The
//! retry rules of redis-rs are not used, because they include lost replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

use super::function::{evaluate, load_functions, was_not_run};
use super::script::{RetrySafety, Script};
use crate::error::{Code, Error};

/// Maximum time that a request spends on Redis, retries included. Clients get a response within
/// 2.5 s.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request is retried while Redis refuses it. Shorter than [`TIMEOUT`], which also covers slow
/// replies.
const RETRY_WINDOW: Duration = Duration::from_secs(1);
/// Pause between two attempts. Short, so that clients do not notice a restart of Redis.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// A connection that is opened on first use and replaced when it breaks.
pub(super) struct RedisConnection {
    client: Client,
    config: AsyncConnectionConfig,
    /// A Tokio mutex, because it is held while connecting, so that waiting requests share the result.
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Set by the driver of the connection as soon as it ends, so that no call is sent over a closed
    /// connection and reported as unknown.
    broken: Arc<AtomicBool>,
    /// Set when Redis refuses functions over this connection; scripts then run as texts.
    by_text: AtomicBool,
}

/// The outcome of one attempt to run a script.
enum Attempt {
    Replied(Value),
    /// Redis was unreachable, or refused the call before running the script.
    NotRun(RedisError),
    /// The reply was lost, and the script is safe to repeat.
    Lost(RedisError),
    /// The call must not be repeated.
    Failed(Error),
}

/// Adds to the settings of a URL: `TCP_NODELAY` (off by default in redis-rs 1.8) and RESP3, which
/// reports disconnections.
pub(super) fn connection_info(url: ConnectionInfo) -> ConnectionInfo {
    let settings = url
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    url.set_redis_settings(settings)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true))
}

impl RedisConnection {
    pub(super) fn new(target: ConnectionInfo) -> RedisResult<Self> {
        let broken = Arc::new(AtomicBool::new(false));
        let flag = broken.clone();
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                flag.store(true, Ordering::Release);
            }
            Ok::<(), std::convert::Infallible>(())
        };
        // No response timeout: `call` limits the whole request.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT / 2))
            .set_response_timeout(None)
            .set_push_sender(on_push);
        Ok(Self {
            client: Client::open(target)?,
            config,
            connection: Mutex::new(None),
            broken,
            by_text: AtomicBool::new(false),
        })
    }

    /// Runs a script, within [`TIMEOUT`].
    pub(super) async fn call(
        &self,
        script: &Script,
        retry: RetrySafety,
        keys: &[String],
        args: &[&[u8]],
    ) -> Result<Value, Error> {
        let started = Instant::now();
        let deadline = started + TIMEOUT;
        let mut may_have_run = false;
        loop {
            let error = match self.attempt(script, retry, keys, args, deadline).await {
                Attempt::Replied(reply) => return Ok(reply),
                Attempt::Failed(error) => return Err(final_error(error, may_have_run)),
                Attempt::NotRun(error) => error,
                Attempt::Lost(error) => {
                    may_have_run = true;
                    error
                }
            };
            if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
                self.discard().await;
            }
            if started.elapsed() >= RETRY_WINDOW {
                return Err(final_error(unavailable(&error), may_have_run));
            }
            sleep(RETRY_DELAY).await;
        }
    }

    async fn attempt(
        &self,
        script: &Script,
        retry: RetrySafety,
        keys: &[String],
        args: &[&[u8]],
        deadline: Instant,
    ) -> Attempt {
        let mut connection = match self.connected(deadline).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Attempt::NotRun(error),
            Err(_) => return Attempt::Failed(Code::Unavailable.into()),
        };
        let reply = evaluate(&mut connection, &self.by_text, script, keys, args);
        match timeout_at(deadline, reply).await {
            Ok(Ok(reply)) => Attempt::Replied(reply),
            Ok(Err(error)) if was_not_run(&error) => Attempt::NotRun(error),
            Ok(Err(error)) if retry != RetrySafety::Never && is_lost(&error) => {
                self.discard().await;
                Attempt::Lost(error)
            }
            Ok(Err(error)) => Attempt::Failed(self.to_error(error).await),
            Err(_) => {
                self.discard().await;
                Attempt::Failed(Code::OutcomeUnknown.into())
            }
        }
    }

    /// The open connection, or a new one. Opening one is rare, so its future is boxed and does not
    /// enlarge that of every request.
    async fn connected(
        &self,
        deadline: Instant,
    ) -> Result<RedisResult<MultiplexedConnection>, Elapsed> {
        let current = self.connection.try_lock();
        if let Some(open) = current
            .ok()
            .and_then(|current| self.working(current.as_ref()))
        {
            return Ok(Ok(open));
        }
        Box::pin(timeout_at(deadline, self.connect())).await
    }

    fn working(&self, current: Option<&MultiplexedConnection>) -> Option<MultiplexedConnection> {
        let broken = self.broken.load(Ordering::Acquire);
        current.filter(|_| !broken).cloned()
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.connection.lock().await;
        // Another request may have opened one while this one waited for the lock.
        if let Some(open) = self.working(connection.as_ref()) {
            return Ok(open);
        }
        *connection = None;
        self.broken.store(false, Ordering::Release);
        let mut open = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        load_functions(&mut open).await?;
        self.by_text.store(false, Ordering::Relaxed);
        Ok(connection.insert(open).clone())
    }

    async fn discard(&self) {
        *self.connection.lock().await = None;
    }

    /// The error for a call that is not retried.
    async fn to_error(&self, error: RedisError) -> Error {
        if is_lost(&error) {
            self.discard().await;
            return Code::OutcomeUnknown.into();
        }
        match error.code() {
            Some("OOM") => Code::StorageFull.into(),
            Some("MISCONF" | "NOREPLICAS") => unavailable(&error),
            code => match code.and_then(Code::from_word) {
                Some(code) => refused(code, &error),
                None => Error::new(Code::Internal, format!("Redis refused the call: {error}.")),
            },
        }
    }
}

/// The error of a call. If an earlier attempt may have run the script, a later refusal does not mean that
/// nothing was changed.
fn final_error(error: Error, may_have_run: bool) -> Error {
    match error.code {
        Code::Unavailable | Code::StorageFull if may_have_run => Code::OutcomeUnknown.into(),
        _ => error,
    }
}

/// Whether the call was sent and its reply was lost.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::Parse
}

/// A refusal by the script itself.
fn refused(code: Code, error: &RedisError) -> Error {
    match error.detail() {
        Some(detail) => Error::new(code, detail.to_owned()),
        None => code.into(),
    }
}

fn unavailable(refusal: &RedisError) -> Error {
    Error::new(
        Code::Unavailable,
        format!("{} ({refusal})", Code::Unavailable.meaning()),
    )
}
