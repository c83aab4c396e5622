//! Failovers of a Redis Cluster.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::cluster::{inbox_status, user_at};
use super::sentinel::{min_replicas_warnings, send_the_first, send_until, stored};
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::redis_sentinel::{info, wait};
use crate::harness::{eventually, keys, spawn_app_on, spawn_app_with};

#[tokio::test]
async fn a_planned_failover_in_a_cluster_refuses_no_request() {
    let cluster = RedisCluster::with_replicas();
    let app = spawn_app_on(&cluster.url());
    let users: Vec<_> = (0..3).map(|master| user_at(&cluster, master)).collect();
    let asking = async {
        for n in 0..150 {
            assert_eq!(inbox_status(&app, &users[n % 3]).await, 200);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let failing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.replicas[0].run("CLUSTER FAILOVER");
        let promoted = async || info(&cluster.replicas[0], "role") == "master";
        eventually("the replica is promoted", Duration::from_secs(10), promoted).await;
    };
    join(asking, failing).await;
    let address = cluster.replicas[0].address();
    let is_listed = async || {
        let ready = app.get("/readyz").await.json(200)["redis"].clone();
        ready
            .as_array()
            .unwrap()
            .iter()
            .any(|master| master["address"] == address)
    };
    eventually(
        "the new master is listed",
        Duration::from_secs(5),
        is_listed,
    )
    .await;
}

#[tokio::test]
async fn warnings_of_a_cluster_fit_the_number_of_replicas() {
    let cluster = RedisCluster::with_replicas();
    let app = spawn_app_on(&cluster.url());
    let (master, second) = (&cluster.masters[0], cluster.add_replica(0));
    let has_replicas = |count: u64| info(master, "connected_slaves") == count.to_string();
    let warnings = async || min_replicas_warnings(&app, master).await.concat();
    assert!(has_replicas(2));
    assert!(warnings().await.starts_with("min-replicas-to-write is 0: "));
    master.run("CONFIG SET min-replicas-to-write 1");
    assert_eq!(warnings().await, "");
    drop(second);
    wait("it has one replica", || has_replicas(1));
    assert!(warnings().await.contains("while one of them is away"));
    master.run("CONFIG SET min-replicas-to-write 0");
    assert_eq!(warnings().await, "", "a cut-off master stops by itself");
}

#[tokio::test]
async fn the_users_of_a_dead_master_are_served_by_its_replica() {
    let mut cluster = RedisCluster::with_replicas();
    let app = spawn_app_on(&cluster.url());
    let user = user_at(&cluster, 1);
    let other = user_at(&cluster, 2);
    assert_eq!(inbox_status(&app, &user).await, 200);
    cluster.masters[1].kill();
    let back = async || {
        assert_eq!(inbox_status(&app, &other).await, 200);
        inbox_status(&app, &user).await == 200
    };
    eventually("the replica has taken over", Duration::from_secs(20), back).await;
    assert_eq!(info(&cluster.replicas[1], "role"), "master");
    // The old master returns as a replica; calls still reach the new one.
    cluster.masters[1].restart();
    let follows = async || info(&cluster.masters[1], "role") == "slave";
    eventually("the old master follows", Duration::from_secs(20), follows).await;
    assert_eq!(inbox_status(&app, &user).await, 200);
}

#[tokio::test]
async fn with_replicas_a_cluster_loses_no_acknowledged_message() {
    let mut cluster = RedisCluster::with_replicas();
    let app = spawn_app_with(&["--redis-url", &cluster.url(), "--replicas", "1"]);
    let [messages, _] = keys("alice", "bob");
    let home = RedisCluster::index_of(cluster.slot_of(&messages));
    send_the_first(&app).await;
    let stopped = Cell::new(false);
    let senders = (0..4).map(|_| send_until(&app, &stopped));
    let (acknowledged, ()) = join(join_all(senders), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.masters[home].kill();
        let promoted = async || info(&cluster.replicas[home], "role") == "master";
        eventually("the replica is promoted", Duration::from_secs(20), promoted).await;
        stopped.set(true);
    })
    .await;
    let path = "/conversations/bob/alice?peek=true";
    let back = async || app.get(path).await.status == 200;
    eventually(
        "the conversation is served again",
        Duration::from_secs(20),
        back,
    )
    .await;
    let stored = stored(&app).await;
    let acknowledged: Vec<_> = acknowledged.into_iter().flatten().collect();
    let lost = acknowledged.iter().filter(|body| !stored.contains(*body));
    assert_eq!(lost.count(), 0, "of {}", acknowledged.len());
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
}
