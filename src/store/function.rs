//! Scripts run as functions of Redis (`FCALL`), or as texts (`EVALSHA`, `EVAL`) if Redis refuses functions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::connection::ScriptCall;
use super::function_library::{FUNCTION_LIBRARY, PREFIX};
use super::{Node, Store, administered};
use crate::error::Error;

/// How long a change waits for its replicas.
const REPLICATION_TIMEOUT_MS: u16 = 500;
/// The code of the error for a change that fewer replicas than asked for have confirmed.
pub(super) const NOT_REPLICATED: &str = "NOTREPLICATED";

/// Runs a script: as a function, or as a text if `by_text` is set. `asking` permits it in a slot that is
/// moving to this node.
pub(super) async fn evaluate(
    connection: &mut MultiplexedConnection,
    by_text: &AtomicBool,
    call: ScriptCall<'_>,
    asking: bool,
) -> RedisResult<Value> {
    // The other ways are rare. Boxed, they do not enlarge the future of every request.
    if by_text.load(Ordering::Relaxed) {
        return Box::pin(run_text(connection, call, asking)).await;
    }
    let fcall = call.script.fcall(call.keys, call.args);
    match send_call(connection, fcall, call, asking).await {
        Err(error) if is_function_refused(&error) => {
            Box::pin(load_and_run(connection, by_text, call, asking)).await
        }
        reply => reply,
    }
}

async fn send(connection: &mut MultiplexedConnection, command: &Cmd) -> RedisResult<Value> {
    let reply = connection.send_packed_command(command).await;
    reply.and_then(Value::extract_error)
}

/// Sends the command of a call.
async fn send_call(
    connection: &mut MultiplexedConnection,
    command: Cmd,
    call: ScriptCall<'_>,
    asking: bool,
) -> RedisResult<Value> {
    if !asking && call.replicas == 0 {
        return send(connection, &command).await;
    }
    Box::pin(send_together(connection, command, call.replicas, asking)).await
}

/// Sends a command in one write with what belongs to it, because other calls share the connection: `ASKING`
/// before it and `WAIT` behind it.
async fn send_together(
    connection: &mut MultiplexedConnection,
    command: Cmd,
    replicas: u8,
    asking: bool,
) -> RedisResult<Value> {
    let mut pipeline = redis::pipe();
    if asking {
        pipeline.cmd("ASKING");
    }
    pipeline.add_command(command);
    if replicas > 0 {
        let wait = pipeline.cmd("WAIT");
        wait.arg(replicas).arg(REPLICATION_TIMEOUT_MS);
    }
    let replies = connection.send_packed_commands(&pipeline, 0, pipeline.len());
    let mut replies = replies.await?.into_iter().skip(usize::from(asking));
    let reply = replies.next().unwrap_or(Value::Nil).extract_error()?;
    let is_replicated = match replies.next() {
        None => true,
        Some(Value::Int(confirmed)) => confirmed >= i64::from(replicas),
        Some(_) => false,
    };
    if is_replicated {
        return Ok(reply);
    }
    Err(redis::make_extension_error(NOT_REPLICATED.to_owned(), None))
}

/// Whether Redis does not have the function, does not know functions, or does not permit to call one.
fn is_function_refused(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    detail == "Function not found" || detail.to_ascii_lowercase().contains("'fcall'")
}

/// Loads the functions and calls that of a script. If Redis refuses that, because its memory is full or the
/// ACL does not permit it, this connection runs texts from now on.
async fn load_and_run(
    connection: &mut MultiplexedConnection,
    by_text: &AtomicBool,
    call: ScriptCall<'_>,
    asking: bool,
) -> RedisResult<Value> {
    let refusal = match send(connection, &load()).await {
        Err(error) if error.code().is_none() || was_not_run(&error) => return Err(error),
        // Another connection may have loaded it meanwhile.
        Err(error) if !is_loaded_already(&error) => error,
        _ => {
            let fcall = call.script.fcall(call.keys, call.args);
            match send_call(connection, fcall, call, asking).await {
                Err(error) if is_function_refused(&error) => error,
                reply => return reply,
            }
        }
    };
    if !by_text.swap(true, Ordering::Relaxed) {
        tracing::warn!(%refusal, "Redis refuses functions; scripts run as texts, which takes Redis more CPU");
    }
    run_text(connection, call, asking).await
}

async fn run_text(
    connection: &mut MultiplexedConnection,
    call: ScriptCall<'_>,
    asking: bool,
) -> RedisResult<Value> {
    let evalsha = call.script.evalsha(call.keys, call.args);
    match send_call(connection, evalsha, call, asking).await {
        Err(e) if e.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            let eval = call.script.eval(call.keys, call.args);
            send_call(connection, eval, call, asking).await
        }
        reply => reply,
    }
}

fn load() -> Cmd {
    let mut load = redis::cmd("FUNCTION");
    load.arg("LOAD").arg(FUNCTION_LIBRARY.text.as_str());
    load
}

fn is_loaded_already(error: &RedisError) -> bool {
    error
        .detail()
        .is_some_and(|detail| detail.ends_with("already exists"))
}

/// Loads the functions into Redis, so that the first call takes one round trip. Redis may have them, or refuse them, for
/// example because it is loading or out of memory. Then the calls are refused and retried one by one.
pub(super) async fn load_functions(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    match send(connection, &load()).await {
        Err(error) if error.code().is_none() => Err(error),
        _ => Ok(()),
    }
}

/// Whether Redis refused the call before running the script.
pub(super) fn was_not_run(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Server(kind) => {
            matches!(
                kind,
                Ask | BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly | TryAgain
            )
        }
        _ => error.code() == Some("BUSY"),
    }
}

impl Store {
    /// Deletes the functions of other versions of the service from all masters. A process of such a version that
    /// still runs loads its functions again.
    pub async fn delete_old_functions(&self) -> Result<(), Error> {
        for node in self.masters() {
            administered(self.delete_old_functions_of(&node)).await?;
        }
        Ok(())
    }

    async fn delete_old_functions_of(&self, node: &Node) -> Result<(), String> {
        let mut connection = self.topology.pooled_connection(node).await?;
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST")
            .arg("LIBRARYNAME")
            .arg(format!("{PREFIX}*"));
        let found: RedisResult<Vec<BTreeMap<String, Value>>> =
            list.query_async(&mut connection).await;
        for mut library in found.map_err(|e| e.to_string())? {
            let name = library.remove("library_name").unwrap_or(Value::Nil);
            let name: String = redis::from_redis_value(name).map_err(|e| e.to_string())?;
            if name != FUNCTION_LIBRARY.name {
                let mut delete = redis::cmd("FUNCTION");
                let deleted = delete.arg("DELETE").arg(&name);
                let deleted = deleted.exec_async(&mut connection).await;
                deleted.map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }
}
