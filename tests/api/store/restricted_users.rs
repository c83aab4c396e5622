//! A cluster and sentinels with the users of `docs/operations.md`, who may do only what the service needs.

use std::time::Duration;

use duologue::store::Keys;
use serde_json::json;

use super::cluster::{inbox_status, user_at};
use super::permissions::{acl_setuser, operations_page, spawn_as_backend, use_everything};
use super::sentinel::wait_until_used;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::redis_sentinel::RedisSentinel;
use crate::harness::store::tcp_server::TcpServer;
use crate::harness::{eventually, refusal_to_start};

/// The rules in the line of `docs/operations.md` that begins so.
fn rules(line: &str) -> String {
    let page = operations_page();
    let begin = format!("\n* {line}: `");
    let rest = page.split(&begin).nth(1).expect("rules");
    rest.split('`').next().unwrap().replace('\n', " ")
}

fn create_user(server: &TcpServer, more: &str) {
    let words = acl_setuser().join(" ");
    server.run(&format!("ACL {words} {more}"));
}

/// Permits what the client library calls on a server that knows it.
fn permit_setinfo(server: &TcpServer) {
    let mut set = redis::cmd("CLIENT");
    set.arg("SETINFO").arg("LIB-NAME").arg("test");
    if set.exec(&mut server.connect()).is_ok() {
        let line = "On sentinels and on each Redis behind them, in Valkey and since Redis 7.2";
        server.run(&format!("ACL SETUSER duologue {}", rules(line)));
    }
}

/// What the server refused to users.
fn refused(server: &TcpServer) -> redis::Value {
    let mut log = redis::cmd("ACL");
    log.arg("LOG").query(&mut server.connect()).unwrap()
}

const NOTHING: redis::Value = redis::Value::Array(Vec::new());

fn with_password(url: &str) -> String {
    url.replace("://", "://duologue:password@")
}

#[tokio::test]
async fn a_cluster_works_with_the_documented_redis_user() {
    let cluster = RedisCluster::start();
    let url = with_password(&cluster.url());
    for master in &cluster.masters {
        create_user(master, "");
    }
    let refusal = refusal_to_start(&["--redis-url", &url]).to_string();
    assert!(refusal.contains("cluster|slots"), "{refusal}");
    for master in &cluster.masters {
        create_user(master, &rules("On each node of a cluster"));
        master.run("ACL LOG RESET");
    }
    let app = spawn_as_backend(&url, &[]);
    use_everything(&app).await;
    let user = user_at(&cluster, 0);
    let slot = cluster.slot_of(&Keys::new().inbox(&user));
    cluster.begin_move(slot, 0, 1);
    let asked = app.get(&format!("/users/{user}/unread")).await;
    assert_eq!(asked.status, 200);
    cluster.end_move(slot, 0, 1);
    assert_eq!(inbox_status(&app, &user).await, 200);
    // Two heartbeats of the subscriptions, and a search for updates that are not confirmed.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for master in &cluster.masters {
        assert_eq!(refused(master), NOTHING);
    }
}

#[tokio::test]
async fn sentinels_work_with_the_documented_redis_users() {
    let redis = RedisSentinel::start();
    let more = [
        "On each Redis behind Sentinel",
        "With `DUOLOGUE_REPLICAS=1`",
    ]
    .map(rules);
    for server in [&redis.master, &redis.replica] {
        create_user(server, &more.join(" "));
    }
    redis.sentinel.run(&rules("On each sentinel"));
    for server in [&redis.master, &redis.replica, &redis.sentinel] {
        permit_setinfo(server);
    }
    let url = with_password(&redis.url());
    let login = "?sentinel_username=duologue&sentinel_password=password";
    let app = spawn_as_backend(&(url + login), &["--replicas", "1"]);
    let message = json!({"from": "carol", "to": "dave", "body": "hi"});
    let sent = async || app.post(&message).await.status == 201;
    eventually("a replica confirms", Duration::from_secs(60), sent).await;
    use_everything(&app).await;
    redis.hand_over();
    let failed_over = async || redis.has_failed_over();
    eventually(
        "the replica is the master",
        Duration::from_secs(60),
        failed_over,
    )
    .await;
    wait_until_used(&app, &redis.replica.address()).await;
    eventually("a replica confirms", Duration::from_secs(60), sent).await;
    for server in [&redis.master, &redis.replica, &redis.sentinel] {
        assert_eq!(refused(server), NOTHING);
    }
}
