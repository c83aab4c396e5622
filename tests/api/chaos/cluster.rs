//! A cluster whose masters are killed, stopped, replaced and cut off from their replicas, while slots move.

use std::thread::sleep;
use std::time::{Duration, Instant};

use duologue::store::Keys;
use tokio::task::spawn_blocking;

use super::crowd::{Crowd, Shared, Size, seed};
use super::duration;
use crate::harness::rng::Rng;
use crate::harness::spawn_app_with;
use crate::harness::store::replicated_cluster::ReplicatedCluster;

const SIZE: Size = Size {
    clients: 60,
    users: 40,
};

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
            cluster.pause(master, || sleep(Duration::from_millis(800)));
            "stopped a master"
        }
        2 => {
            cluster.fail_over(master);
            "exchanged a master and its replica"
        }
        3 => {
            cluster.cut_replication(master, || sleep(Duration::from_secs(2)));
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

/// Harms the cluster until the time is over, and returns it.
fn harm_repeatedly(mut cluster: ReplicatedCluster) -> ReplicatedCluster {
    let (deadline, mut rng) = (Instant::now() + duration(), Rng::new(seed()));
    while Instant::now() < deadline {
        println!("{}", harm(&mut cluster, &mut rng));
        sleep(Duration::from_millis(500));
    }
    cluster
}

#[tokio::test]
#[ignore = "takes ten minutes: make chaos"]
async fn nothing_is_lost_or_wrong_on_a_cluster_that_fails() {
    let cluster = ReplicatedCluster::start();
    let url = cluster.url();
    let spawn = || spawn_app_with(&["--redis-url", &url, "--replicas", "1"]);
    let apps = [spawn(), spawn()];
    let mut crowd = Crowd::open(&apps, SIZE).await;
    let harm = async |_: &Shared| spawn_blocking(|| harm_repeatedly(cluster)).await.unwrap();
    let _cluster = crowd.act_during(harm).await;
    crowd.report_when_settled().await.assert_flawless();
}
