//! A replica that misses the last changes of its master and takes its place.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::crowd::{Crowd, Size};
use crate::harness::metrics::metric;
use crate::harness::store::outbox::outbox_entries;
use crate::harness::store::replicated_cluster::ReplicatedCluster;
use crate::harness::{eventually, spawn_app_on};

const SIZE: Size = Size {
    clients: 40,
    users: 30,
};
/// For how long clients act before the replica is cut off, and after that.
const ACTING: Duration = Duration::from_secs(2);
const FINISHED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn rows_are_right_after_a_stale_replica_was_promoted() {
    let mut cluster = ReplicatedCluster::start();
    let app = spawn_app_on(&cluster.url());
    let mut crowd = Crowd::open(vec![app.address.clone()], SIZE).await;
    let master = cluster.masters()[0];
    let acting = async |_: &_| {
        sleep(ACTING).await;
        cluster.disconnect_replica(master);
        sleep(ACTING).await;
    };
    crowd.act_during(acting).await;
    let mut redis = cluster.connect();
    let finished = async || outbox_entries(&mut redis) == 0;
    eventually("every change is finished", FINISHED, finished).await;
    // Nobody changes anything from here on.
    let cluster = spawn_blocking(move || {
        cluster.kill(master);
        cluster.reconnect_replicas();
        cluster.wait_until_whole();
        cluster
    });
    let cluster = cluster.await.unwrap();
    let report = crowd.report_when_settled(&mut cluster.connect()).await;
    assert!(!report.lost.is_empty(), "the replica had everything");
    report.assert_consistent();
    for kind in ["repeated", "touched"] {
        let repairs = format!("duologue_repairs_total{{kind=\"{kind}\"}}");
        assert!(metric(&app, &repairs).await >= 1.0, "{kind}");
    }
    // It stops at once only while the cluster works.
    drop(app);
}
