//! A cluster on six hosts: a master that is cut off from everybody, and a service that is cut off from a third of
//! the nodes.

use std::thread::sleep;
use std::time::Duration;

use super::{Servers, assert_flawless_under};
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::network::TestNetwork;
use crate::harness::store::redis_sentinel::{info, wait};
use crate::harness::store::replicated_cluster::ReplicatedCluster;

/// A cluster whose network is cut.
struct CutCluster {
    cluster: ReplicatedCluster,
    network: TestNetwork,
}

impl Servers for CutCluster {
    fn url(&self) -> String {
        self.cluster.url()
    }

    fn connect(&self) -> DirectConnection {
        self.cluster.connect()
    }

    /// Cuts the network in one way, heals it, and waits until the cluster is whole again.
    fn harm(&mut self, rng: &mut Rng) -> &'static str {
        harm(&self.cluster, &self.network, rng)
    }
}

fn harm(cluster: &ReplicatedCluster, network: &TestNetwork, rng: &mut Rng) -> &'static str {
    let master = *rng.one_of(&cluster.masters());
    let replica = cluster.replica_of(master).unwrap();
    let harm = if rng.below(2) == 0 {
        network.cut(master);
        wait("the replica takes over", || {
            info(&cluster.nodes[replica], "role") == "master"
        });
        sleep(Duration::from_secs(2));
        network.heal(master);
        "cut off a master"
    } else {
        let third = [master, replica];
        for node in third {
            network.hide(node);
        }
        sleep(Duration::from_secs(4));
        for node in third {
            network.show(node);
        }
        "cut the service off from a third of the nodes"
    };
    cluster.wait_until_whole();
    harm
}

#[tokio::test]
#[ignore = "takes ten minutes: make chaos"]
async fn nothing_is_lost_or_wrong_when_the_network_is_cut() {
    let Some(network) = TestNetwork::of(6) else {
        println!("skipped: network namespaces take root and iproute2");
        return;
    };
    let cluster = ReplicatedCluster::on(&network.hosts);
    assert_flawless_under(CutCluster { cluster, network }).await;
}
