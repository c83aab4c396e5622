//! What a service can run on: one Redis, a Redis with a replica, or a cluster.

use crate::Outcome;
use crate::process::cpu;
use crate::redis_server::{RedisServer, wait_until};

/// The first and the last slot of each master of a cluster.
const RANGES: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// Redis servers that hold one store.
pub struct Deployment {
    /// For `DUOLOGUE_REDIS_URL`.
    pub url: String,
    masters: Vec<RedisServer>,
    replicas: Vec<RedisServer>,
}

impl Deployment {
    pub fn one_redis() -> Outcome<Self> {
        let master = RedisServer::start(&[])?;
        Ok(Self {
            url: format!("redis://{}", master.address()),
            masters: vec![master],
            replicas: Vec::new(),
        })
    }

    /// A Redis with a replica that has its data.
    pub fn with_replica() -> Outcome<Self> {
        let mut this = Self::one_redis()?;
        let master = &mut this.masters[0];
        let port = master.port.to_string();
        let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port])?;
        wait_until("the replica confirms a change", || master.has_replica())?;
        this.replicas.push(replica);
        Ok(this)
    }

    /// A cluster of three masters, each with a replica.
    pub fn cluster() -> Outcome<Self> {
        let start = |_| RedisServer::start_for_cluster();
        let mut masters = RANGES.iter().map(start).collect::<Outcome<Vec<_>>>()?;
        let mut replicas = RANGES.iter().map(start).collect::<Outcome<Vec<_>>>()?;
        for (master, (first, last)) in masters.iter_mut().zip(RANGES) {
            master.run::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", first + 1))?;
            master.run::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
        }
        introduce(&mut masters, &mut replicas)?;
        for (master, replica) in masters.iter_mut().zip(&mut replicas) {
            let id: String = master.run("CLUSTER MYID")?;
            replica.run::<()>(&format!("CLUSTER REPLICATE {id}"))?;
            wait_until("the replica confirms a change", || master.has_replica())?;
        }
        let addresses: Vec<_> = masters.iter().map(RedisServer::address).collect();
        Ok(Self {
            url: format!("redis+cluster://{}", addresses.join(",")),
            masters,
            replicas,
        })
    }

    /// The CPU time that masters and replicas have used so far, in microseconds.
    pub fn cpu(&self) -> Outcome<(f64, f64)> {
        let sum =
            |nodes: &[RedisServer]| nodes.iter().map(|node| cpu(node.pid)).sum::<Outcome<f64>>();
        Ok((sum(&self.masters)?, sum(&self.replicas)?))
    }
}

/// Makes all nodes of a cluster known to each other.
fn introduce(masters: &mut [RedisServer], replicas: &mut [RedisServer]) -> Outcome<()> {
    let first = format!("127.0.0.1 {} {}", masters[0].port, masters[0].cluster_port);
    for node in masters[1..].iter_mut().chain(&mut *replicas) {
        node.run::<()>(&format!("CLUSTER MEET {first}"))?;
    }
    for line in ["cluster_known_nodes:6", "cluster_state:ok"] {
        for node in masters.iter_mut().chain(&mut *replicas) {
            wait_until(line, || {
                let info: String = node.run("CLUSTER INFO")?;
                Ok(info.lines().any(|one| one == line))
            })?;
        }
    }
    Ok(())
}
