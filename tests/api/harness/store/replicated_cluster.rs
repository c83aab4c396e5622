//! A Redis Cluster in which nodes fail: three masters with a replica each.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::store::cluster_nodes::{ClusterNode, cluster_nodes};
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::network::Host;
use crate::harness::store::redis_cluster::{
    RedisCluster, begin_move, end_move, id_of, nodes_known_to, slot_of, wait_until_agreed,
};
use crate::harness::store::redis_sentinel::{info, wait};
use crate::harness::store::tcp_server::TcpServer;

/// Six nodes, of which three are masters. Which ones changes with each failover.
pub struct ReplicatedCluster {
    pub nodes: Vec<TcpServer>,
}

impl ReplicatedCluster {
    /// Starts the nodes and waits until each replica has the data of its master.
    pub fn start() -> Self {
        Self::on(&std::array::from_fn::<_, 6, _>(|_| Host::local()))
    }

    /// The same on six hosts, of which the first three begin as masters.
    pub fn on(hosts: &[Host]) -> Self {
        let cluster = RedisCluster::on(&hosts[..3]).replicated_to(&hosts[3..]);
        let RedisCluster { masters, replicas } = cluster;
        let nodes = masters.into_iter().chain(replicas).collect();
        let this = Self { nodes };
        this.wait_until_whole();
        this
    }

    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(TcpServer::address).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// A connection to all nodes.
    pub fn connect(&self) -> DirectConnection {
        let urls: Vec<_> = self.nodes.iter().map(TcpServer::url).collect();
        DirectConnection::to(urls.iter().map(String::as_str))
    }

    fn state_of(&self, node: usize) -> Option<ClusterNode> {
        let port = self.nodes[node].port;
        let states = states(&self.nodes[node]);
        states.into_iter().find(|state| state.port == port)
    }

    /// The masters that have slots, as indices of `nodes`.
    pub fn masters(&self) -> Vec<usize> {
        let has_slots = |node: &usize| {
            let state = self.state_of(*node);
            state.is_some_and(|state| state.is_master && !state.slots.is_empty())
        };
        (0..self.nodes.len()).filter(has_slots).collect()
    }

    /// The replica of a master.
    pub fn replica_of(&self, master: usize) -> Option<usize> {
        let id = id_of(&self.nodes[master]);
        let follows = |node: &usize| self.state_of(*node).is_some_and(|state| state.master == id);
        (0..self.nodes.len()).find(follows)
    }

    /// Kills a master and waits until its replica has taken over; then starts it again.
    pub fn kill(&mut self, master: usize) {
        let Some(replica) = self.replica_of(master) else {
            return;
        };
        self.nodes[master].kill();
        wait("the replica takes over", || {
            self.state_of(replica).is_some_and(|state| state.is_master)
        });
        self.nodes[master].restart();
    }

    /// Makes the replica of a master the master while both work.
    pub fn fail_over(&self, master: usize) {
        if let Some(replica) = self.replica_of(master) {
            self.nodes[replica].run("CLUSTER FAILOVER");
        }
    }

    /// Cuts a replica off its master for a time.
    pub fn cut_replication(&self, master: usize, time: Duration) {
        self.disconnect_replica(master);
        sleep(time);
        self.reconnect_replicas();
    }

    /// Cuts a replica off its master, by a user that does not exist.
    pub fn disconnect_replica(&self, master: usize) {
        let Some(replica) = self.replica_of(master) else {
            return;
        };
        self.nodes[replica].run("CONFIG SET masteruser nobody");
        self.nodes[replica].run("CONFIG SET masterauth nothing");
        self.nodes[master].run("CLIENT KILL TYPE replica");
    }

    pub fn reconnect_replicas(&self) {
        for node in &self.nodes {
            node.run("CONFIG SET masteruser ");
            node.run("CONFIG SET masterauth ");
        }
    }

    /// The slot of a key.
    pub fn slot_of(&self, key: &str) -> u16 {
        slot_of(key, &self.nodes[0])
    }

    /// Moves a slot with its keys to another master.
    pub fn move_slot(&self, slot: u16, to: usize) {
        wait_until_agreed(&self.nodes);
        let states = states(&self.nodes[to]);
        let has = |state: &&ClusterNode| {
            state
                .slots
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&slot))
        };
        let owner = states.iter().find(has).map(|state| state.port);
        let from = (0..self.nodes.len()).find(|node| Some(self.nodes[*node].port) == owner);
        if let Some(from) = from.filter(|from| *from != to) {
            begin_move(slot, &self.nodes[from], &self.nodes[to]);
            end_move(slot, &self.nodes[from], &self.nodes[to]);
        }
    }

    /// Stops a master for a moment shorter than a failover takes.
    pub fn pause(&self, master: usize, time: Duration) {
        self.nodes[master].signal(Signal::STOP);
        sleep(time);
        self.nodes[master].signal(Signal::CONT);
    }

    /// Waits until three masters have all slots and a replica each, and all nodes agree.
    pub fn wait_until_whole(&self) {
        wait("the cluster is whole", || {
            let masters = self.masters();
            let agree = self.nodes.iter().all(|node| {
                let states = states(node);
                let slots: u32 = states
                    .iter()
                    .flat_map(|state| &state.slots)
                    .map(|(first, last)| u32::from(last - first) + 1)
                    .sum();
                states.len() == self.nodes.len() && slots == 16384
            });
            let has_replica = |master: &usize| {
                self.replica_of(*master)
                    .is_some_and(|replica| info(&self.nodes[replica], "master_link_status") == "up")
            };
            agree && masters.len() == 3 && masters.iter().all(has_replica)
        });
    }
}

/// The nodes as one of them knows them; those that failed are left out.
fn states(known_to: &TcpServer) -> Vec<ClusterNode> {
    let mut nodes = cluster_nodes(&nodes_known_to(known_to));
    nodes.retain(|node| !node.has_failed);
    nodes
}
