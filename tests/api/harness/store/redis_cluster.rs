//! A Redis Cluster of three masters, each with a replica if a test needs failovers.

use std::collections::BTreeSet;

use redis::Value;

use crate::harness::store::cluster_nodes::{ClusterNode, cluster_nodes};
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::network::Host;
use crate::harness::store::redis_sentinel::{info, wait};
use crate::harness::store::tcp_server::TcpServer;

/// The first and the last slot of each master.
const RANGES: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// The options of each node.
const OPTIONS: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-port",
    "PORT",
    "--cluster-node-timeout",
    "1000",
    "--cluster-require-full-coverage",
    "no",
];

/// Three masters, each with a third of the slots.
pub struct RedisCluster {
    pub masters: Vec<TcpServer>,
    /// The replica of each master, or none.
    pub replicas: Vec<TcpServer>,
}

impl RedisCluster {
    pub fn start() -> Self {
        Self::on(&[Host::local(), Host::local(), Host::local()])
    }

    /// The same, on three hosts.
    pub fn on(hosts: &[Host]) -> Self {
        Self::of(hosts.iter().map(node).collect())
    }

    /// The same with these further options, for example those of TLS.
    pub fn with_options(options: &[&str]) -> Self {
        let node = || TcpServer::start(&[&OPTIONS, options].concat());
        Self::of(vec![node(), node(), node()])
    }

    fn of(masters: Vec<TcpServer>) -> Self {
        for (master, (first, last)) in masters.iter().zip(RANGES) {
            master.run(&format!("CLUSTER SET-CONFIG-EPOCH {}", first + 1));
            master.run(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            meet(master, &masters[0]);
        }
        let this = Self {
            masters,
            replicas: Vec::new(),
        };
        wait("the cluster is complete", || this.is_complete());
        this
    }

    /// The same with a replica of each master that has its data.
    pub fn with_replicas() -> Self {
        Self::start().replicated_to(&[Host::local(), Host::local(), Host::local()])
    }

    /// Adds a replica of each master on these hosts.
    pub fn replicated_to(self, hosts: &[Host]) -> Self {
        let mut this = self;
        for (master, host) in hosts.iter().enumerate() {
            let replica = this.add_replica_on(master, host);
            this.replicas.push(replica);
        }
        wait("all nodes know each other", || {
            let all = this.masters.iter().chain(&this.replicas);
            all.into_iter()
                .all(|node| nodes_known_to(node).matches("slave").count() >= 3)
        });
        this
    }

    /// A further replica of a master, which has its data.
    pub fn add_replica(&self, master: usize) -> TcpServer {
        self.add_replica_on(master, &Host::local())
    }

    fn add_replica_on(&self, master: usize, host: &Host) -> TcpServer {
        let (replica, master) = (node(host), &self.masters[master]);
        let id = id_of(master);
        meet(&replica, &self.masters[0]);
        let knows = || nodes_known_to(&replica).contains(&id);
        wait("the replica knows its master", knows);
        replica.run(&format!("CLUSTER REPLICATE {id}"));
        wait("the replica has the data", || {
            info(&replica, "master_link_status") == "up"
        });
        replica
    }

    /// The URL of its first two nodes.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.masters[..2].iter().map(TcpServer::address).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// The master of a slot, as it was at the start.
    pub fn master_of(&self, slot: u16) -> &TcpServer {
        &self.masters[Self::index_of(slot)]
    }

    pub fn index_of(slot: u16) -> usize {
        let has = |(first, last): &(u16, u16)| (*first..=*last).contains(&slot);
        RANGES.iter().position(has).unwrap()
    }

    /// The slot of a key.
    pub fn slot_of(&self, key: &str) -> u16 {
        slot_of(key, &self.masters[0])
    }

    /// A connection to all masters.
    pub fn connect(&self) -> DirectConnection {
        let urls: Vec<_> = self.masters.iter().map(TcpServer::url).collect();
        DirectConnection::to(urls.iter().map(String::as_str))
    }

    /// A connection to the master of a key.
    pub fn connect_to(&self, key: &str) -> redis::Connection {
        self.master_of(self.slot_of(key)).connect()
    }

    /// Begins to move a slot, with its keys still at the first master.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        wait_until_agreed(&self.masters);
        begin_move(slot, &self.masters[from], &self.masters[to]);
    }

    /// Moves some keys of a slot.
    pub fn move_keys(&self, from: usize, to: usize, keys: &[String]) {
        move_keys(&self.masters[from], &self.masters[to], keys);
    }

    /// Moves the remaining keys of a slot and ends the move.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        end_move(slot, &self.masters[from], &self.masters[to]);
        // As redis-cli does: the others would learn it a moment later.
        let owner = id_of(&self.masters[to]);
        for master in &self.masters {
            master.run(&format!("CLUSTER SETSLOT {slot} NODE {owner}"));
        }
    }

    /// Whether all nodes agree that each range has its first master, and take writes.
    pub fn is_complete(&self) -> bool {
        self.masters.iter().all(|master| {
            let mut connection = master.connect();
            let mut state = redis::cmd("CLUSTER");
            let state: String = state.arg("INFO").query(&mut connection).unwrap();
            let mut slots = redis::cmd("CLUSTER");
            let slots: Vec<Vec<Value>> = slots.arg("SLOTS").query(&mut connection).unwrap();
            let known: Vec<_> = slots.iter().map(|range| port_of(&range[2])).collect();
            let mut expected: Vec<_> = self.masters.iter().map(|m| Some(m.port)).collect();
            expected.dedup();
            state.contains("cluster_state:ok") && known == expected
        })
    }
}

/// The reply of `CLUSTER NODES`; empty while the node loads its data.
pub fn nodes_known_to(node: &TcpServer) -> String {
    let mut nodes = redis::cmd("CLUSTER");
    let nodes = nodes.arg("NODES").query(&mut node.connect());
    nodes.unwrap_or_default()
}

/// The port in the description of a node.
fn port_of(node: &Value) -> Option<u16> {
    let Value::Array(node) = node else {
        return None;
    };
    match node[..] {
        [_, Value::Int(port), ..] => u16::try_from(port).ok(),
        _ => None,
    }
}

/// The slot of a key.
pub fn slot_of(key: &str, node: &TcpServer) -> u16 {
    let mut command = redis::cmd("CLUSTER");
    command.arg("KEYSLOT").arg(key);
    command.query(&mut node.connect()).unwrap()
}

/// The id of a node.
pub fn id_of(node: &TcpServer) -> String {
    let mut id = redis::cmd("CLUSTER");
    id.arg("MYID").query(&mut node.connect()).unwrap()
}

/// Introduces a node to another.
fn meet(node: &TcpServer, other: &TcpServer) {
    let bus = other.option("--cluster-port").unwrap();
    node.run(&format!(
        "CLUSTER MEET {} {} {bus}",
        other.host.ip, other.port
    ));
}

/// Waits until all nodes know the same masters with the same slots and configuration epochs. A node that takes a
/// slot before it knows the newest epoch takes it under an older one, and its claim can get lost: then each of two
/// masters says for ever that the other one has the slot.
pub fn wait_until_agreed(nodes: &[TcpServer]) {
    wait("all nodes agree on the slots", || {
        let views: BTreeSet<_> = nodes.iter().map(masters_known_to).collect();
        let view = views.first().filter(|_| views.len() == 1);
        view.is_some_and(|masters| {
            let epochs: BTreeSet<_> = masters.iter().map(|master| master.epoch).collect();
            epochs.len() == masters.len()
        })
    });
}

/// The masters that have slots, as a node knows them.
fn masters_known_to(node: &TcpServer) -> BTreeSet<ClusterNode> {
    let nodes = cluster_nodes(&nodes_known_to(node)).into_iter();
    nodes
        .filter(|node| node.is_master && !node.slots.is_empty())
        .collect()
}

/// Begins to move a slot, with its keys still at the first node.
pub fn begin_move(slot: u16, from: &TcpServer, to: &TcpServer) {
    let (from_id, to_id) = (id_of(from), id_of(to));
    to.run(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
    from.run(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
}

fn move_keys(from: &TcpServer, to: &TcpServer, keys: &[String]) {
    let mut migrate = redis::cmd("MIGRATE");
    migrate.arg(&to.host.ip).arg(to.port).arg("").arg(0);
    migrate.arg(5000).arg("KEYS").arg(keys);
    migrate.exec(&mut from.connect()).unwrap();
}

/// Moves the remaining keys of a slot and ends the move.
pub fn end_move(slot: u16, from: &TcpServer, to: &TcpServer) {
    let mut source = from.connect();
    loop {
        let mut keys = redis::cmd("CLUSTER");
        keys.arg("GETKEYSINSLOT").arg(slot).arg(100);
        let keys: Vec<String> = keys.query(&mut source).unwrap();
        if keys.is_empty() {
            break;
        }
        move_keys(from, to, &keys);
    }
    let owner = id_of(to);
    for node in [to, from] {
        node.run(&format!("CLUSTER SETSLOT {slot} NODE {owner}"));
    }
}

/// A node without slots.
fn node(host: &Host) -> TcpServer {
    TcpServer::start_on(host, &OPTIONS)
}
