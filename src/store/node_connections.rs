//! The connections of one worker: to one Redis, or to each node of a cluster. Repeats and redirects calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Attempt, RedisConnection, ScriptCall, TIMEOUT, unavailable};
use super::keys::slot_of;
use super::slot_map::Node;
use super::topology::Topology;
use crate::error::{Code, Error};
use crate::metrics::Metrics;

/// How long a request is retried while Redis refuses it. Shorter than [`TIMEOUT`], which also covers slow
/// replies.
const RETRY_WINDOW: Duration = Duration::from_secs(1);
/// Pause between two attempts. Short, so that clients do not notice a restart of Redis.
const RETRY_DELAY: Duration = Duration::from_millis(50);
/// Redirections that are followed without a pause. More follow one another while nodes disagree.
const REDIRECTIONS: u32 = 8;

/// One connection to each node, and another one for changes that wait for replicas: Redis runs no other call of a
/// connection that waits.
pub(super) struct NodeConnections {
    topology: Arc<Topology>,
    metrics: Arc<Metrics>,
    /// The connections of a store that has only one node.
    only: ConnectionPair,
    /// The connections to the nodes of a cluster.
    nodes: Mutex<HashMap<Node, ConnectionPair>>,
}

/// The connections to one node, each opened on first use.
struct ConnectionPair {
    usual: Arc<RedisConnection>,
    waiting: Arc<RedisConnection>,
}

impl ConnectionPair {
    fn to(node: &Node, topology: &Arc<Topology>) -> Self {
        let connection = || Arc::new(RedisConnection::new(topology.clone(), node.clone()));
        Self {
            usual: connection(),
            waiting: connection(),
        }
    }

    fn of_call(&self, call: ScriptCall<'_>) -> Arc<RedisConnection> {
        let waits = call.replicas > 0;
        if waits { &self.waiting } else { &self.usual }.clone()
    }
}

/// The node that a reply sends a call to.
enum Redirection {
    /// The slot has moved there.
    Moved,
    /// The slot is moving, and its keys are already there.
    Ask(Node),
}

impl Redirection {
    /// The node to ask once, if the slot has not moved yet.
    fn asked(self) -> Option<Node> {
        match self {
            Self::Moved => None,
            Self::Ask(node) => Some(node),
        }
    }
}

impl NodeConnections {
    pub(super) fn new(topology: Arc<Topology>, metrics: Arc<Metrics>) -> Self {
        Self {
            only: ConnectionPair::to(&Node::only(), &topology),
            topology,
            metrics,
            nodes: Mutex::default(),
        }
    }

    /// Runs a script at the node of its first key, within [`TIMEOUT`].
    pub(super) async fn call(&self, call: ScriptCall<'_>) -> Result<Value, Error> {
        let started = Instant::now();
        let deadline = started + TIMEOUT;
        let (mut may_have_run, mut redirections, mut asked) = (false, 0, None);
        loop {
            let asking = asked.is_some();
            let connection = self.connection(asked.take(), call);
            let error = match connection.attempt(call, asking, deadline).await {
                Attempt::Replied(reply) => return Ok(reply),
                Attempt::Failed(error) => {
                    self.note_failure(&error);
                    return Err(final_error(error, may_have_run));
                }
                Attempt::Unreachable(error) => {
                    self.topology.refresh();
                    if started.elapsed() >= RETRY_WINDOW {
                        let error = self.unreachable(connection.node(), &error);
                        return Err(final_error(error, may_have_run));
                    }
                    error
                }
                Attempt::NotRun(error) => error,
                Attempt::Lost(error) => {
                    may_have_run = true;
                    self.topology.refresh();
                    error
                }
            };
            let redirection = self.redirection(&error, connection.node());
            // A slow node may redirect late; that is no reason to refuse.
            let limit = if redirection.is_some() {
                TIMEOUT
            } else {
                RETRY_WINDOW
            };
            if started.elapsed() >= limit {
                return Err(final_error(unavailable(&error), may_have_run));
            }
            match redirection {
                Some(redirection) => {
                    redirections += 1;
                    asked = redirection.asked();
                    if redirections % REDIRECTIONS == 0 {
                        sleep(RETRY_DELAY).await;
                    }
                }
                None => sleep(RETRY_DELAY).await,
            }
        }
    }

    /// Runs a script once, with its redirections. A connection that takes longer stays open, because other
    /// calls wait on it.
    pub(super) async fn call_once(
        &self,
        call: ScriptCall<'_>,
        limit: Duration,
    ) -> Result<Value, Error> {
        let deadline = Instant::now() + TIMEOUT;
        let attempts = async {
            let mut asked = None;
            loop {
                let asking = asked.is_some();
                let connection = self.connection(asked.take(), call);
                let error = match connection.attempt(call, asking, deadline).await {
                    Attempt::Replied(reply) => return Ok(reply),
                    Attempt::Failed(error) => return Err(error),
                    Attempt::Lost(_) => return Err(Code::OutcomeUnknown.into()),
                    Attempt::NotRun(error) | Attempt::Unreachable(error) => error,
                };
                match self.redirection(&error, connection.node()) {
                    Some(redirection) => asked = redirection.asked(),
                    None => return Err(unavailable(&error)),
                }
            }
        };
        let outcome = match timeout(limit, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Code::OutcomeUnknown.into()),
        };
        if outcome.is_err() {
            self.topology.refresh();
        }
        outcome
    }

    /// Runs a script at a node. Its keys do not matter.
    pub(super) async fn call_at(&self, node: &Node, call: ScriptCall<'_>) -> Result<Value, Error> {
        let connection = self.connection_to(node, call);
        let deadline = Instant::now() + TIMEOUT;
        match connection.attempt(call, false, deadline).await {
            Attempt::Replied(reply) => Ok(reply),
            Attempt::Failed(error) => Err(error),
            Attempt::Unreachable(error) => Err(self.unreachable(node, &error)),
            Attempt::NotRun(error) | Attempt::Lost(error) => Err(unavailable(&error)),
        }
    }

    /// The connection to the node that was named, or to that of the first key.
    fn connection(&self, asked: Option<Node>, call: ScriptCall<'_>) -> Arc<RedisConnection> {
        let Some(cluster) = self.topology.cluster() else {
            return self.only.of_call(call);
        };
        let slot = || slot_of(call.keys.first().map_or("", String::as_str));
        let node = asked.unwrap_or_else(|| cluster.node_of(slot()));
        self.connection_to(&node, call)
    }

    fn connection_to(&self, node: &Node, call: ScriptCall<'_>) -> Arc<RedisConnection> {
        if !self.topology.is_cluster() {
            return self.only.of_call(call);
        }
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = nodes.get(node) {
            return connections.of_call(call);
        }
        // The nodes that have left the cluster.
        let masters = self.topology.masters();
        nodes.retain(|node, _| masters.contains(node));
        let connections = ConnectionPair::to(node, &self.topology);
        let connection = connections.of_call(call);
        nodes.insert(node.clone(), connections);
        connection
    }

    /// Follows `MOVED` and `ASK`, and reads the map again if the node refuses calls.
    fn redirection(&self, error: &RedisError, from: &Node) -> Option<Redirection> {
        let cluster = self.topology.cluster()?;
        let Some((address, slot)) = error.redirect_node() else {
            use ServerErrorKind::{ClusterDown, MasterDown, ReadOnly, TryAgain};
            if let ErrorKind::Server(ClusterDown | MasterDown | ReadOnly | TryAgain) = error.kind()
            {
                cluster.refresh();
            }
            return None;
        };
        let node = Node::redirected(address, from);
        if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) {
            self.metrics.redirect("ask");
            return Some(Redirection::Ask(node));
        }
        self.metrics.redirect("moved");
        cluster.moved(slot, &node);
        // After a failover all slots of a node have moved.
        cluster.refresh();
        Some(Redirection::Moved)
    }

    /// A lost reply may mean that the node has failed.
    fn note_failure(&self, error: &Error) {
        if error.code == Code::OutcomeUnknown {
            self.topology.refresh();
        }
    }

    fn unreachable(&self, node: &Node, error: &RedisError) -> Error {
        if self.topology.is_cluster() || self.topology.has_sentinels() {
            let detail = self.topology.unreachable(node, error);
            return Error::new(Code::Unavailable, detail);
        }
        unavailable(error)
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
