//! One shared connection to a node: runs a script, and tells whether it may have run.
//!
//! A call that Redis refused before running it (`LOADING`, `READONLY`, ...) may be repeated. A call without
//! a reply may be repeated only if that is safe (see [`RetrySafety`]); otherwise the error is
//! `OUTCOME_UNKNOWN`. The retry rules of redis-rs are not used, because they include lost replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::function::{NOT_REPLICATED, evaluate, load_functions, was_not_run};
use super::script::{RetrySafety, Script};
use super::slot_map::Node;
use super::topology::Topology;
use crate::error::{Code, Error};

/// Maximum time that a request spends on Redis, retries included. Clients get a response within
/// 2.5 s.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of calls that are written to Redis at once. The default of redis-rs, 8 KiB, is eleven sends.
const WRITE_BYTES: usize = 64 * 1024;
/// Number of calls that can wait for the next write. With more, callers wait for one another.
const QUEUED_CALLS: usize = 1024;

/// A connection that is opened on first use and replaced when it breaks.
pub(super) struct RedisConnection {
    topology: Arc<Topology>,
    node: Node,
    config: AsyncConnectionConfig,
    /// A Tokio mutex, because it is held while connecting, so that waiting requests share the result.
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Set by the driver of the connection as soon as it ends, so that no call is sent over a closed
    /// connection and reported as unknown.
    broken: Arc<AtomicBool>,
    /// The failovers that had happened when the connection was opened.
    failovers: AtomicU64,
    /// Set when Redis refuses functions over this connection; scripts then run as texts.
    by_text: AtomicBool,
}

/// A script with its keys and arguments.
#[derive(Clone, Copy)]
pub(super) struct ScriptCall<'a> {
    pub(super) script: &'static Script,
    pub(super) retry: RetrySafety,
    pub(super) keys: &'a [String],
    pub(super) args: &'a [&'a [u8]],
    /// The replicas that must have the change.
    pub(super) replicas: u8,
}

/// The outcome of one attempt to run a script.
pub(super) enum Attempt {
    Replied(Value),
    /// There is no connection.
    Unreachable(RedisError),
    /// Redis refused the call before running the script.
    NotRun(RedisError),
    /// The reply was lost, and the script is safe to repeat.
    Lost(RedisError),
    /// The call must not be repeated.
    Failed(Error),
}

/// Adds to the settings of a URL: `TCP_NODELAY` (off by default in redis-rs 1.8) and RESP3, which
/// reports disconnections. Without `CLIENT SETINFO`, which not every Redis knows and a restricted user may not call.
pub(super) fn connection_info(url: ConnectionInfo) -> ConnectionInfo {
    let settings = url
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    url.set_redis_settings(settings)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true))
}

impl RedisConnection {
    pub(super) fn new(topology: Arc<Topology>, node: Node) -> Self {
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
            .set_write_backpressure_boundary(WRITE_BYTES)
            .set_pipeline_buffer_size(QUEUED_CALLS)
            .set_push_sender(on_push);
        Self {
            topology,
            node,
            config,
            connection: Mutex::new(None),
            broken,
            failovers: AtomicU64::default(),
            by_text: AtomicBool::new(false),
        }
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Runs a script. `asking` permits it in a slot that is moving to this node.
    pub(super) async fn attempt(
        &self,
        call: ScriptCall<'_>,
        asking: bool,
        deadline: Instant,
    ) -> Attempt {
        let mut connection = match self.connected(deadline).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Attempt::Unreachable(error),
            Err(_) => return Attempt::Failed(Code::Unavailable.into()),
        };
        let reply = evaluate(&mut connection, &self.by_text, call, asking);
        match timeout_at(deadline, reply).await {
            Ok(Ok(reply)) => Attempt::Replied(reply),
            Ok(Err(error)) if was_not_run(&error) => {
                if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
                    self.discard().await;
                }
                Attempt::NotRun(error)
            }
            Ok(Err(error)) if call.retry != RetrySafety::Never && is_lost(&error) => {
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
        let is_broken = self.broken.load(Ordering::Acquire);
        let is_current = self.failovers.load(Ordering::Acquire) == self.topology.failovers();
        current.filter(|_| !is_broken && is_current).cloned()
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.connection.lock().await;
        // Another request may have opened one while this one waited for the lock.
        if let Some(open) = self.working(connection.as_ref()) {
            return Ok(open);
        }
        *connection = None;
        self.broken.store(false, Ordering::Release);
        let client = self.topology.client(&self.node).await?;
        self.failovers
            .store(self.topology.failovers(), Ordering::Release);
        let mut open = client
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
            Some(NOT_REPLICATED) => {
                let detail = "The change was made, but too few replicas of Redis have confirmed it: a failover \
                              can undo it.";
                Error::new(Code::OutcomeUnknown, detail)
            }
            code => match code.and_then(Code::from_word) {
                Some(code) => refused(code, &error),
                None => Error::new(Code::Internal, format!("Redis refused the call: {error}.")),
            },
        }
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

pub(super) fn unavailable(refusal: &RedisError) -> Error {
    Error::new(
        Code::Unavailable,
        format!("{} ({refusal})", Code::Unavailable.meaning()),
    )
}
