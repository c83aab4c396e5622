//! A cluster on six hosts: a master that is cut off from everybody, and a service that is cut off from a third of
//! the nodes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use super::crowd::{Crowd, Shared, Size, seed};
use super::duration;
use crate::harness::rng::Rng;
use crate::harness::spawn_app_with;
use crate::harness::store::network::TestNetwork;
use crate::harness::store::redis_sentinel::{info, wait};
use crate::harness::store::replicated_cluster::ReplicatedCluster;

const SIZE: Size = Size {
    clients: 60,
    users: 40,
};

/// Cuts the network in one way, heals it, and waits until the cluster is whole again.
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

/// Cuts the network again and again until the time is over.
fn harm_repeatedly(cluster: &ReplicatedCluster, network: &TestNetwork) {
    let (deadline, mut rng) = (Instant::now() + duration(), Rng::new(seed()));
    while Instant::now() < deadline {
        println!("{}", harm(cluster, network, &mut rng));
        sleep(Duration::from_millis(500));
    }
}

#[tokio::test]
#[ignore = "takes ten minutes: make chaos"]
async fn nothing_is_lost_or_wrong_when_the_network_is_cut() {
    let Some(network) = TestNetwork::of(6) else {
        println!("skipped: network namespaces take root and iproute2");
        return;
    };
    let cluster = ReplicatedCluster::on(&network.hosts);
    let url = cluster.url();
    let spawn = || spawn_app_with(&["--redis-url", &url, "--replicas", "1"]);
    let apps = [spawn(), spawn()];
    let mut crowd = Crowd::open(&apps, SIZE).await;
    let harm = async |_: &Shared| {
        spawn_blocking(move || {
            harm_repeatedly(&cluster, &network);
            (cluster, network)
        })
        .await
        .unwrap()
    };
    let (_cluster, _network) = crowd.act_during(harm).await;
    crowd.report_when_settled().await.assert_flawless();
}
