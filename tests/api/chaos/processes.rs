//! Processes of the service that are killed, on a cluster that works.

use std::time::{Duration, Instant};

use super::crowd::{Crowd, Size};
use super::services::Services;
use crate::harness::eventually;
use crate::harness::store::outbox::outbox_entries;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::tcp_server::TcpServer;

const SIZE: Size = Size {
    clients: 50,
    users: 40,
};
const PROCESSES: usize = 3;
const KILLING: Duration = Duration::from_secs(15);
/// How long any process may take to find and finish what is left.
const FINISHED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_dead_processes_left_unfinished_is_finished() {
    let cluster = RedisCluster::start();
    let nodes: Vec<_> = cluster.masters.iter().map(TcpServer::url).collect();
    let services = Services::start(PROCESSES, &cluster.url(), 0);
    let mut crowd = Crowd::open(services.addresses(), SIZE).await;
    let deadline = Instant::now() + KILLING;
    let (_services, killed) = crowd
        .act_during(async |_| services.kill_until(deadline, nodes).await)
        .await;
    println!("{killed}");
    assert!(killed.left_both_kinds(), "{killed}");
    let mut redis = cluster.connect();
    let finished = async || outbox_entries(&mut redis) == 0;
    eventually("every change is finished", FINISHED, finished).await;
    crowd.report(&mut redis).await.assert_flawless();
}
