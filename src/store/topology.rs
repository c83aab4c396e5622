//! Where the data is: one Redis, the master that sentinels name, or the masters of a cluster.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_redis::{Manager, Pool, PoolError};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::timeout;

use super::cluster::Cluster;
use super::connection::TIMEOUT;
use super::keys::slot_of;
use super::redis_url::{RedisUrl, Sentinels};
use super::slot_map::Node;

/// The nodes of the store. One per process.
pub(super) struct Topology {
    kind: Kind,
    /// Connections for administrative commands, which must neither wait for messages nor delay them.
    pools: Mutex<HashMap<Node, (ConnectionInfo, Pool)>>,
}

enum Kind {
    Single(Box<ConnectionInfo>),
    Sentinel {
        sentinels: Box<Sentinels>,
        /// The master that the sentinels named last.
        master: Box<Mutex<Option<ConnectionInfo>>>,
        /// How often they named another one than before.
        failovers: AtomicU64,
    },
    Cluster(Arc<Cluster>),
}

impl Topology {
    pub(super) fn of(url: RedisUrl) -> Self {
        let kind = match url {
            RedisUrl::Single(info) => Kind::Single(info),
            RedisUrl::Sentinel(sentinels) => Kind::Sentinel {
                sentinels,
                master: Box::default(),
                failovers: AtomicU64::default(),
            },
            RedisUrl::Cluster(seeds) => Kind::Cluster(Arc::new(Cluster::of(&seeds))),
        };
        Self {
            kind,
            pools: Mutex::default(),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    pub(super) fn has_sentinels(&self) -> bool {
        matches!(self.kind, Kind::Sentinel { .. })
    }

    /// The node of a key or a channel.
    pub(super) fn node_of(&self, key: &str) -> Node {
        match &self.kind {
            Kind::Cluster(cluster) => cluster.node_of(slot_of(key)),
            _ => Node::only(),
        }
    }

    /// All nodes that take writes.
    pub(super) fn masters(&self) -> Vec<Node> {
        match &self.kind {
            Kind::Cluster(cluster) => cluster.masters(),
            _ => vec![Node::only()],
        }
    }

    /// The address of a node as people write it.
    pub(super) fn address(&self, node: &Node) -> String {
        match &self.kind {
            Kind::Single(info) => info.addr().to_string(),
            Kind::Sentinel { master, .. } => {
                let master = master.lock().unwrap_or_else(PoisonError::into_inner);
                let address = master.as_ref().map(|info| info.addr().to_string());
                address.unwrap_or_default()
            }
            Kind::Cluster(_) => node.to_string(),
        }
    }

    /// A client of a node. Sentinels are asked each time, because the master may have changed.
    pub(super) async fn client(&self, node: &Node) -> RedisResult<Client> {
        match &self.kind {
            Kind::Single(info) => Client::open((**info).clone()),
            Kind::Sentinel {
                sentinels,
                master,
                failovers,
            } => {
                let client = Box::pin(sentinels.find_master()).await;
                let client = client.map_err(|error| explained(&error, sentinels))?;
                let found = client.get_connection_info().clone();
                let mut known = master.lock().unwrap_or_else(PoisonError::into_inner);
                if known
                    .as_ref()
                    .is_none_or(|known| known.addr() != found.addr())
                {
                    failovers.fetch_add(1, Ordering::Release);
                }
                *known = Some(found);
                Ok(client)
            }
            Kind::Cluster(cluster) => Client::open(cluster.connection_info(node)),
        }
    }

    /// How often the master changed. A connection that was opened before a change leads to a former master,
    /// whose data is old.
    pub(super) fn failovers(&self) -> u64 {
        match &self.kind {
            Kind::Sentinel { failovers, .. } => failovers.load(Ordering::Acquire),
            _ => 0,
        }
    }

    /// A connection for administrative commands; otherwise the reason why there is none.
    pub(super) async fn pooled_connection(
        &self,
        node: &Node,
    ) -> Result<deadpool_redis::Connection, String> {
        let pool = match self.known_pool(node) {
            Some(pool) => pool,
            None => {
                let client = self.client(node).await;
                let client = client.map_err(|e| self.unreachable(node, &e))?;
                let pool = self.pool_of(node, client.get_connection_info());
                pool.map_err(|e| e.to_string())?
            }
        };
        match pool.get().await {
            Ok(connection) => Ok(connection),
            Err(error) => {
                self.forget_master();
                Err(match error {
                    PoolError::Backend(error) => self.unreachable(node, &error),
                    error => error.to_string(),
                })
            }
        }
    }

    /// Says why there is no connection to a node, and which node of a cluster that is.
    pub(super) fn unreachable(&self, node: &Node, why: &RedisError) -> String {
        match self.kind {
            Kind::Cluster(_) => {
                format!("The cluster names {node}, which cannot be reached: {why}.")
            }
            // The detail is the sentence of `explained`.
            Kind::Sentinel { .. } => why.detail().map_or_else(|| why.to_string(), str::to_owned),
            Kind::Single(_) => why.to_string(),
        }
    }

    /// The pool of a node, if its address is known and has not changed.
    fn known_pool(&self, node: &Node) -> Option<Pool> {
        let current = match &self.kind {
            Kind::Sentinel { master, .. } => {
                let master = master.lock().unwrap_or_else(PoisonError::into_inner);
                Some(master.as_ref()?.addr().clone())
            }
            _ => None,
        };
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let (info, pool) = pools.get(node)?;
        let unchanged = current.is_none_or(|address| *info.addr() == address);
        unchanged.then(|| pool.clone())
    }

    fn pool_of(&self, node: &Node, info: &ConnectionInfo) -> RedisResult<Pool> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let manager = Manager::new_with_config(info.clone(), config)?;
        let pool = Pool::builder(manager).max_size(2).build();
        let pool = pool.map_err(|e| (ErrorKind::InvalidClientConfig, "pool", e.to_string()))?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_cluster() {
            // The nodes that have left the cluster.
            let masters = self.masters();
            pools.retain(|node, _| masters.contains(node));
        }
        pools.insert(node.clone(), (info.clone(), pool.clone()));
        Ok(pool)
    }

    /// Makes the next caller ask the sentinels.
    fn forget_master(&self) {
        if let Kind::Sentinel { master, .. } = &self.kind {
            *master.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The cluster, if this is one.
    pub(super) fn cluster(&self) -> Option<&Arc<Cluster>> {
        match &self.kind {
            Kind::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// Reads the map of a cluster again, in the background and not too often.
    pub(super) fn refresh(&self) {
        if let Kind::Cluster(cluster) = &self.kind {
            cluster.refresh();
        }
    }

    /// Reads the map of a cluster, or asks the sentinels for the master, in the background. After a planned failover
    /// the former master accepts messages for some ten seconds more, which are lost: connections must leave it before
    /// it closes them.
    pub(super) fn look_again(self: &Arc<Self>) {
        self.refresh();
        if self.has_sentinels() {
            let topology = self.clone();
            let look = async move { topology.client(&Node::only()).await };
            // A request that fails reports why.
            tokio::spawn(timeout(TIMEOUT, look));
        }
    }

    /// Changes when a slot of a cluster changes its master.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        match &self.kind {
            Kind::Cluster(cluster) => cluster.changes(),
            _ => watch::channel(0).1,
        }
    }
}

/// Adds to an error of the sentinels what it means.
fn explained(error: &RedisError, sentinels: &Sentinels) -> RedisError {
    let service = &sentinels.service;
    if error.kind() == ErrorKind::MasterNameNotFoundBySentinel {
        let detail = format!("The sentinels name no working master of the service `{service}`.");
        return (ErrorKind::MasterNameNotFoundBySentinel, "Sentinel", detail).into();
    }
    let detail = format!("No sentinel leads to the master of `{service}`: {error}.");
    (ErrorKind::Io, "Sentinel", detail).into()
}
