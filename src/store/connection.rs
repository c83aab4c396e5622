//! One shared connection, and the rules for what may be sent twice.
//!
//! A lane never loses track of whether a script may have run. What Redis refused before running it
//! (`LOADING`, `READONLY`, ...) is sent again while the request's time lasts. What left and was not
//! answered is sent again only where that is harmless (see [`RetrySafety`]); otherwise the answer is
//! `OUTCOME_UNKNOWN`. redis-rs' own idea of what may be retried is ignored, because it counts a lost
//! reply among it.

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

use super::script::{RetrySafety, SCRIPTS, Script};
use crate::error::{Code, Error};

/// How long a request waits for Redis, everything included. Clients are promised 2.5 s.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request goes on trying while Redis refuses. Shorter than [`TIMEOUT`]: an answer is
/// worth more waiting than a refusal.
const RETRY_WINDOW: Duration = Duration::from_secs(1);
/// Between two attempts on a Redis that is not ready. Short enough that its restart goes unnoticed.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// A connection that heals: opened on first use, replaced when it breaks.
pub(super) struct RedisConnection {
    client: Client,
    config: AsyncConnectionConfig,
    /// A Tokio mutex, because it is held while connecting: those who wait share the outcome.
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Set by the driver of the connection as soon as it ends, so that nothing is sent into the
    /// void and called "unknown" although it never left.
    broken: Arc<AtomicBool>,
}

/// What a lane needs on top of what a URL says: `TCP_NODELAY` (off by default in redis-rs 1.8) and
/// RESP3, in which a disconnection is announced.
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
        // No response timeout here: `call` bounds the request as a whole.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT / 2))
            .set_response_timeout(None)
            .set_push_sender(on_push);
        Ok(Self {
            client: Client::open(target)?,
            config,
            connection: Mutex::new(None),
            broken,
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
        // Whether an attempt left and was not answered. Not being let in later does not undo it.
        let mut lost = false;
        let given_up = |lost, error: Error| match error.code {
            Code::Unavailable | Code::StorageFull if lost => Code::OutcomeUnknown.into(),
            _ => error,
        };
        loop {
            let refusal = match self.connected(deadline).await {
                Err(_) => return Err(given_up(lost, Code::Unavailable.into())),
                Ok(Err(refusal)) => refusal,
                Ok(Ok(mut connection)) => {
                    let attempt = evaluate(&mut connection, script, keys, args);
                    match timeout_at(deadline, attempt).await {
                        Ok(Ok(reply)) => return Ok(reply),
                        Ok(Err(refusal)) if was_not_run(&refusal) => refusal,
                        Ok(Err(broken)) if retry != RetrySafety::Never && is_lost(&broken) => {
                            self.discard().await;
                            lost = true;
                            broken
                        }
                        Ok(Err(error)) => return Err(given_up(lost, self.failed(error).await)),
                        Err(_) => {
                            self.discard().await;
                            return Err(Code::OutcomeUnknown.into());
                        }
                    }
                }
            };
            if refusal.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
                self.discard().await;
            }
            if started.elapsed() >= RETRY_WINDOW {
                return Err(given_up(lost, unavailable(&refusal)));
            }
            sleep(RETRY_DELAY).await;
        }
    }

    /// The connection, opened if there is none that works. Nearly always there is one, so what it
    /// takes to open another is boxed: every request's future would have room for it.
    async fn connected(
        &self,
        deadline: Instant,
    ) -> Result<RedisResult<MultiplexedConnection>, Elapsed> {
        let at_hand = self.connection.try_lock();
        if let Some(open) = at_hand.ok().and_then(|held| self.working(held.as_ref())) {
            return Ok(Ok(open));
        }
        Box::pin(timeout_at(deadline, self.connect())).await
    }

    fn working(&self, held: Option<&MultiplexedConnection>) -> Option<MultiplexedConnection> {
        let broken = self.broken.load(Ordering::Acquire);
        held.filter(|_| !broken).cloned()
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.connection.lock().await;
        // Whoever held the lock may have opened one.
        if let Some(open) = self.working(connection.as_ref()) {
            return Ok(open);
        }
        *connection = None;
        self.broken.store(false, Ordering::Release);
        let mut open = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        load_scripts(&mut open).await?;
        Ok(connection.insert(open).clone())
    }

    async fn discard(&self) {
        *self.connection.lock().await = None;
    }

    /// What an error that is not a plain refusal means to the client.
    async fn failed(&self, error: RedisError) -> Error {
        if is_lost(&error) {
            self.discard().await;
            return Code::OutcomeUnknown.into();
        }
        match error.code() {
            Some("OOM") => Code::StorageFull.into(),
            Some("MISCONF" | "NOREPLICAS") => unavailable(&error),
            word => match word.and_then(Code::from_word) {
                Some(code) => refused(code, &error),
                None => Error::new(Code::Internal, format!("Redis refused: {error}")),
            },
        }
    }
}

/// Whether the call left and its reply did not arrive.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::Parse
}

async fn evaluate(
    connection: &mut MultiplexedConnection,
    script: &Script,
    keys: &[String],
    args: &[&[u8]],
) -> RedisResult<Value> {
    let reply = connection
        .send_packed_command(&script.evalsha(keys, args))
        .await;
    match reply.and_then(Value::extract_error) {
        Err(e) if e.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            let reply = connection
                .send_packed_command(&script.eval(keys, args))
                .await;
            reply.and_then(Value::extract_error)
        }
        other => other,
    }
}

/// Tells Redis the scripts, so that the first call of each takes one round trip. A full Redis
/// refuses that; then the first call sends the text.
async fn load_scripts(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for script in SCRIPTS {
        let source = script.source.as_str();
        pipeline.cmd("SCRIPT").arg("LOAD").arg(source).ignore();
    }
    match pipeline.query_async(connection).await {
        Err(e) if e.code() == Some("OOM") => Ok(()),
        other => other,
    }
}

/// Whether Redis said that it did not even begin.
fn was_not_run(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Server(kind) => {
            matches!(
                kind,
                BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly | TryAgain
            )
        }
        _ => error.code() == Some("BUSY"),
    }
}

/// A script's own refusal, in its words.
fn refused(code: Code, error: &RedisError) -> Error {
    match error.detail() {
        Some(words) => Error::new(code, words.to_owned()),
        None => code.into(),
    }
}

fn unavailable(refusal: &RedisError) -> Error {
    Error::new(
        Code::Unavailable,
        format!("{} ({refusal})", Code::Unavailable.meaning()),
    )
}
