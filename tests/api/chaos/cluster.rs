//! A cluster whose masters are killed, stopped, replaced and cut off from their replicas, while slots move.

use std::time::Duration;

use duologue::store::Keys;

use super::{SIZE, assert_flawless_under};
use crate::harness::rng::Rng;
use crate::harness::store::replicated_cluster::ReplicatedCluster;

/// Harms the cluster in one way, and waits until it is whole again.
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
    let mut cluster = ReplicatedCluster::start();
    assert_flawless_under(&cluster.url(), move |rng| harm(&mut cluster, rng)).await;
}
