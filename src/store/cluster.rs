//! The nodes of a Redis Cluster: which master has which slot.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError, RedisResult, Value,
};
use tokio::time::timeout;

use super::keys::SLOTS;

/// How long a node may take to describe the cluster.
const REFRESH_TIMEOUT: Duration = Duration::from_millis(400);
/// Minimum interval between two refreshes.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);
/// The index of a slot that no node has.
const NOBODY: u16 = u16::MAX;

/// A Redis that takes writes, by its address. On one Redis and behind sentinels there is a single one, whose
/// name is empty because its address may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(Arc<str>);

/// The masters and the index of the master of each slot.
struct SlotMap {
    masters: Vec<Node>,
    slots: Vec<u16>,
}

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
}

impl Node {
    /// The node of a store that has only one.
    pub(super) fn only() -> Self {
        Self("".into())
    }

    fn at(host: &str, port: u16) -> Self {
        // As in MOVED, an IPv6 address has no brackets.
        Self(format!("{host}:{port}").into())
    }

    /// The node that a redirection names; `from` is the node that sent it.
    pub(super) fn redirected(address: &str, from: &Node) -> Self {
        match address.strip_prefix(':') {
            // An empty host means the host of the node that answered.
            Some(port) => {
                let host = from.0.rsplit_once(':').map_or("", |(host, _)| host);
                Self(format!("{host}:{port}").into())
            }
            None => Self(address.into()),
        }
    }

    fn host_and_port(&self) -> Option<(String, u16)> {
        let (host, port) = self.0.rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SlotMap {
    /// A map of no slots.
    fn empty(masters: Vec<Node>) -> Self {
        let slots = vec![NOBODY; usize::from(SLOTS)];
        Self { masters, slots }
    }

    /// The index of a master, which is added if it is new.
    fn index(&mut self, node: &Node) -> u16 {
        let known = self.masters.iter().position(|known| known == node);
        let index = known.unwrap_or_else(|| {
            self.masters.push(node.clone());
            self.masters.len() - 1
        });
        u16::try_from(index).unwrap_or(NOBODY)
    }

    /// The reply of `CLUSTER SLOTS`: first slot, last slot, master and replicas of each range.
    fn parse(reply: &Value, asked: &Node) -> Self {
        let mut map = Self::empty(Vec::new());
        let Value::Array(ranges) = reply else {
            return map;
        };
        for range in ranges {
            let Value::Array(range) = range else { continue };
            let [
                Value::Int(first),
                Value::Int(last),
                Value::Array(master),
                ..,
            ] = &range[..]
            else {
                continue;
            };
            let Some(node) = parse_node(master, asked) else {
                continue;
            };
            let index = map.index(&node);
            let range = usize::try_from(*first)
                .ok()
                .zip(usize::try_from(*last).ok());
            let slots = range.and_then(|(first, last)| map.slots.get_mut(first..=last));
            slots.unwrap_or_default().fill(index);
        }
        map
    }
}

/// The node of `host, port, ...` in the reply of `asked`.
fn parse_node(described: &[Value], asked: &Node) -> Option<Node> {
    let [host, Value::Int(port), ..] = described else {
        return None;
    };
    let port = u16::try_from(*port).ok()?;
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        _ => "",
    };
    match host {
        // The cluster does not know the host.
        "?" => None,
        "" => Some(Node::redirected(&format!(":{port}"), asked)),
        host => Some(Node::at(host, port)),
    }
}

/// Whether a Redis answers that it is not part of a cluster.
fn is_no_cluster(error: &RedisError) -> bool {
    error
        .detail()
        .is_some_and(|detail| detail.contains("cluster support disabled"))
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
            map: RwLock::new(SlotMap::empty(Vec::new())),
            seeds: nodes,
            settings: seeds[0].clone(),
            refreshed: Mutex::new(None),
            turn: AtomicUsize::new(0),
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
        let index = map.slots.get(usize::from(slot)).copied().unwrap_or(NOBODY);
        let master = map.masters.get(usize::from(index)).or(map.masters.first());
        master.unwrap_or(&self.seeds[0]).clone()
    }

    /// The masters that have slots.
    pub(super) fn masters(&self) -> Vec<Node> {
        let map = self.map();
        let mut used: Vec<_> = map.slots.clone();
        used.sort_unstable();
        used.dedup();
        let masters = used.into_iter();
        masters
            .filter_map(|index| map.masters.get(usize::from(index)).cloned())
            .collect()
    }

    /// Records that a slot has moved.
    pub(super) fn moved(&self, slot: u16, node: &Node) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let index = map.index(node);
        if let Some(master) = map.slots.get_mut(usize::from(slot)) {
            *master = index;
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
                Ok(Ok(map)) if map.masters.is_empty() => {
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
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = map;
    }

    fn map(&self) -> RwLockReadGuard<'_, SlotMap> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }
}
