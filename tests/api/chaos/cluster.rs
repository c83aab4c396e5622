//! A cluster whose masters are killed, stopped, replaced and cut off from their replicas, while slots move and
//! processes of the service die.

use std::time::{Duration, Instant};

use duologue::store::Keys;
use futures_util::future::join;

use super::crowd::Crowd;
use super::services::Services;
use super::{SIZE, Servers, duration, harm_until};
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::replicated_cluster::ReplicatedCluster;
use crate::harness::store::tcp_server::TcpServer;

/// Processes of the service.
const PROCESSES: usize = 4;

impl Servers for ReplicatedCluster {
    fn url(&self) -> String {
        self.url()
    }

    fn connect(&self) -> DirectConnection {
        self.connect()
    }

    fn harm(&mut self, rng: &mut Rng) -> &'static str {
        harm(self, rng)
    }
}

fn harm(cluster: &mut ReplicatedCluster, rng: &mut Rng) -> &'static str {
    let masters = cluster.masters();
    let master = *rng.one_of(&masters);
    let harm = match rng.below(5) {
        0 => {
            cluster.kill(master);
            "killed a master"
        }
        1 => {
            cluster.pause(master, Duration::from_millis(800));
            "stopped a master"
        }
        2 => {
            cluster.fail_over(master);
            "exchanged a master and its replica"
        }
        3 => {
            cluster.cut_replication(master, Duration::from_secs(2));
            "cut off a replica"
        }
        _ => {
            for _ in 0..5 {
                let key = Keys::new().inbox(&format!("user-{}", rng.below(SIZE.users)));
                cluster.move_slot(cluster.slot_of(&key), master);
            }
            "moved slots"
        }
    };
    cluster.wait_until_whole();
    harm
}

#[tokio::test]
#[ignore = "takes ten minutes: make chaos"]
async fn nothing_is_lost_or_wrong_on_a_cluster_that_fails() {
    let cluster = ReplicatedCluster::start();
    let nodes: Vec<_> = cluster.nodes.iter().map(TcpServer::url).collect();
    let services = Services::start(PROCESSES, &cluster.url(), 1);
    let mut crowd = Crowd::open(services.addresses(), SIZE).await;
    let deadline = Instant::now() + duration();
    let failing = async |_: &_| {
        let harming = harm_until(deadline, cluster);
        join(harming, services.kill_until(deadline, nodes)).await
    };
    let (cluster, (_services, killed)) = crowd.act_during(failing).await;
    println!("{killed}");
    let report = crowd.report_when_settled(&mut cluster.connect()).await;
    report.assert_flawless();
    assert!(killed.left_both_kinds(), "{killed}");
}
