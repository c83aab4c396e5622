//! A Redis Cluster: how to connect to its nodes, and the map of its slots, which is read again when calls fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError, RedisResult,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::slot_map::{Node, SlotMap};

/// How long a node may take to describe the cluster.
const REFRESH_TIMEOUT: Duration = Duration::from_millis(400);
/// Minimum interval between two refreshes.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

/// What this process knows about the cluster.
pub(super) struct Cluster {
    /// The nodes of the URL.
    seeds: Vec<Node>,
    /// The credentials and the TLS settings of all nodes.
    settings: ConnectionInfo,
    map: RwLock<SlotMap>,
    /// When the last refresh began.
    refreshed: Mutex<Option<Instant>>,
    /// Rotates the nodes that are asked, so that a node that does not answer delays few refreshes.
    turn: AtomicUsize,
    /// The number of changes of the map.
    changes: watch::Sender<u64>,
}

impl Cluster {
    /// The cluster of these nodes, of which there is at least one.
    pub(super) fn of(seeds: &[ConnectionInfo]) -> Self {
        let nodes = seeds.iter().filter_map(|seed| match seed.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Node::at(host, *port))
            }
            _ => None,
        });
        let nodes: Vec<_> = nodes.collect();
        Self {
            map: RwLock::new(SlotMap::empty()),
            seeds: nodes,
            settings: seeds[0].clone(),
            refreshed: Mutex::new(None),
            turn: AtomicUsize::new(0),
            changes: watch::channel(0).0,
        }
    }

    /// How to connect to a node.
    pub(super) fn connection_info(&self, node: &Node) -> ConnectionInfo {
        let mut addr = self.settings.addr().clone();
        let Some((to_host, to_port)) = node.host_and_port() else {
            return self.settings.clone();
        };
        match &mut addr {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                (*host, *port) = (to_host, to_port);
            }
            _ => {}
        }
        self.settings.clone().set_addr(addr)
    }

    /// The master of a slot. Any node if that is unknown: it names the master.
    pub(super) fn node_of(&self, slot: u16) -> Node {
        let map = self.map();
        map.master_of(slot).unwrap_or(&self.seeds[0]).clone()
    }

    /// The masters that have slots.
    pub(super) fn masters(&self) -> Vec<Node> {
        self.map().masters()
    }

    /// Changes when a slot changes its master.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Records that a slot has moved.
    pub(super) fn moved(&self, slot: u16, node: &Node) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if map.assign(slot, node) {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Reads the map again in the background, unless that began within [`REFRESH_INTERVAL`].
    pub(super) fn refresh(self: &Arc<Self>) {
        {
            let mut last = self
                .refreshed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < REFRESH_INTERVAL) {
                return;
            }
            *last = Some(Instant::now());
        }
        let cluster = self.clone();
        tokio::spawn(async move {
            if let Err(why) = cluster.read_map().await {
                tracing::warn!("the map of the cluster cannot be read: {why}");
            }
        });
    }

    /// Reads the map from the first node that answers. The error says why each node does not.
    pub(super) async fn read_map(&self) -> Result<(), String> {
        let mut nodes = self.masters();
        if !nodes.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % nodes.len();
            nodes.rotate_left(turn);
        }
        let seeds = self.seeds.iter().filter(|seed| !nodes.contains(seed));
        nodes.extend(seeds.cloned().collect::<Vec<_>>());
        let mut reasons = Vec::new();
        for node in nodes {
            match timeout(REFRESH_TIMEOUT, self.ask(&node)).await {
                Ok(Ok(map)) if map.masters().is_empty() => {
                    reasons.push(format!("{node} belongs to no cluster"));
                }
                Ok(Ok(map)) => {
                    self.replace(map);
                    return Ok(());
                }
                Ok(Err(error)) if is_no_cluster(&error) => {
                    reasons.push(format!(
                        "{node} is not a node of a Redis Cluster: use redis://"
                    ));
                }
                Ok(Err(error)) => reasons.push(format!("{node}: {error}")),
                Err(_) => reasons.push(format!("{node} does not answer")),
            }
        }
        Err(reasons.join("; "))
    }

    async fn ask(&self, node: &Node) -> RedisResult<SlotMap> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(REFRESH_TIMEOUT));
        let client = Client::open(self.connection_info(node))?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await?;
        let mut command = redis::cmd("CLUSTER");
        let slots = command.arg("SLOTS").query_async(&mut connection).await?;
        Ok(SlotMap::parse(&slots, node))
    }

    fn replace(&self, map: SlotMap) {
        let mut current = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let changed = !current.agrees_with(&map);
        *current = map;
        if changed {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    fn map(&self) -> RwLockReadGuard<'_, SlotMap> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a Redis answers that it is not part of a cluster.
fn is_no_cluster(error: &RedisError) -> bool {
    error
        .detail()
        .is_some_and(|detail| detail.contains("cluster support disabled"))
}
