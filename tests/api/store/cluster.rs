//! A Redis Cluster: slots that move, nodes that fail, and settings that do not fit.

use std::time::{Duration, Instant};

use duologue::store::Keys;
use futures_util::future::{join, join_all};
use redis::Commands;
use rustix::process::Signal;

use crate::harness::metrics::metric;
use crate::harness::store::pooled_cluster::PooledCluster;
use crate::harness::store::redis_cluster::{RedisCluster, nodes_known_to};
use crate::harness::store::tcp_server::{TcpServer, free_port};
use crate::harness::{TestApp, eventually, refusal_to_start, spawn_app_on};

/// A user whose data is at this master.
pub fn user_at(cluster: &RedisCluster, master: usize) -> String {
    let is_there = |user: &String| {
        cluster.master_of(slot_of(cluster, user)).port == cluster.masters[master].port
    };
    let mut users = (0..).map(|n| format!("user-{n}"));
    users.find(is_there).unwrap()
}

fn slot_of(cluster: &RedisCluster, user: &str) -> u16 {
    cluster.slot_of(&Keys::new().inbox(user))
}

pub async fn inbox_status(app: &TestApp, user: &str) -> u16 {
    app.get(&format!("/conversations/{user}")).await.status
}

#[tokio::test]
async fn a_cluster_serves_users_of_all_nodes() {
    let cluster = PooledCluster::take();
    let app = spawn_app_on(&cluster.url());
    for n in 0..30 {
        assert_eq!(inbox_status(&app, &format!("user-{n}")).await, 200);
    }
    let ready = app.get("/readyz").await.json(200)["redis"].clone();
    let mut masters: Vec<_> = ready.as_array().unwrap().iter().collect();
    assert_eq!(masters.len(), 3);
    masters.retain(|master| master["role"] == "master" && master["replicas"] == 0);
    assert_eq!(masters.len(), 3, "{ready}");
    let warnings = masters[0]["warnings"].to_string();
    assert!(warnings.contains("no replica is connected"), "{warnings}");
}

#[tokio::test]
async fn calls_follow_a_slot_while_it_moves_and_afterwards() {
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let user = user_at(&cluster, 0);
    let slot = slot_of(&cluster, &user);
    assert_eq!(inbox_status(&app, &user).await, 200);
    cluster.begin_move(slot, 0, 1);
    // A call with one key: those with several are refused until all of them have moved.
    let path = format!("/users/{user}/unread");
    let answers = join_all((0..64).map(|_| app.get(&path))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    assert!(metric(&app, r#"duologue_redirects_total{kind="ask"}"#).await >= 64.0);
    cluster.end_move(slot, 0, 1);
    let answers = join_all((0..64).map(|_| app.get(&path))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    let moved = metric(&app, r#"duologue_redirects_total{kind="moved"}"#).await;
    assert!((1.0..=64.0).contains(&moved), "{moved}");
    assert_eq!(inbox_status(&app, &user).await, 200);
    let later = metric(&app, r#"duologue_redirects_total{kind="moved"}"#).await;
    assert!((later - moved).abs() < 3.0, "the map was updated");
}

#[tokio::test]
async fn a_call_whose_keys_are_half_moved_is_refused_in_time() {
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let user = user_at(&cluster, 0);
    let slot = slot_of(&cluster, &user);
    // One of the two keys of an inbox.
    let inbox = Keys::new().inbox(&user);
    let added: usize = cluster.connect_to(&inbox).zadd(&inbox, "peer", 1).unwrap();
    assert_eq!(added, 1);
    cluster.begin_move(slot, 0, 1);
    let begun = Instant::now();
    let refused = app.get(&format!("/conversations/{user}")).await;
    refused.problem(503, "UNAVAILABLE");
    let elapsed = begun.elapsed();
    assert!(
        elapsed > Duration::from_millis(900) && elapsed < Duration::from_millis(2500),
        "{elapsed:?}"
    );
    assert!(
        refused.text.contains("TRYAGAIN") || refused.text.contains("TryAgain"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn scripts_flushed_by_one_node_cause_no_error() {
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    for round in 0..3 {
        cluster.masters[round].run("SCRIPT FLUSH");
        cluster.masters[round].run("FUNCTION FLUSH");
        for user in (0..3).map(|master| user_at(&cluster, master)) {
            assert_eq!(
                inbox_status(&app, &user).await,
                200,
                "{user} in round {round}"
            );
        }
    }
}

#[tokio::test]
async fn the_death_of_one_node_does_not_stop_the_others() {
    let mut cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let home = cluster.slot_of(&Keys::new().store());
    let at = |cluster: &RedisCluster, master: usize| cluster.masters[master].port;
    let home = cluster.master_of(home).port;
    let dead = (0..3).find(|master| at(&cluster, *master) != home).unwrap();
    let lost = user_at(&cluster, dead);
    let others: Vec<_> = (0..3)
        .filter(|m| *m != dead)
        .map(|m| user_at(&cluster, m))
        .collect();
    let address = cluster.masters[dead].address();
    cluster.masters[dead].kill();
    let begun = Instant::now();
    let refused = app.get(&format!("/conversations/{lost}")).await;
    refused.problem(503, "UNAVAILABLE");
    let named = format!("The cluster names {address}, which cannot be reached");
    assert!(refused.text.contains(&named), "{}", refused.text);
    assert!(begun.elapsed() < Duration::from_millis(2500));
    for user in &others {
        let begun = Instant::now();
        assert_eq!(inbox_status(&app, user).await, 200);
        assert!(
            begun.elapsed() < Duration::from_millis(800),
            "{:?}",
            begun.elapsed()
        );
    }
    let ready = app.get("/readyz").await.json(200)["redis"].clone();
    let masters = ready.as_array().unwrap();
    let unreachable = masters
        .iter()
        .find(|master| master["role"] == "unreachable")
        .unwrap();
    assert_eq!(unreachable["address"], address);
    assert_eq!(masters.len(), 3, "{ready}");
    // It returns with its slots; its configuration was not lost.
    cluster.masters[dead].restart();
    let back = async || inbox_status(&app, &lost).await == 200;
    eventually("its users are served again", Duration::from_secs(10), back).await;
}

#[tokio::test]
async fn a_node_that_hangs_delays_only_its_own_users() {
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let users: Vec<_> = (0..3).map(|master| user_at(&cluster, master)).collect();
    for user in &users {
        assert_eq!(inbox_status(&app, user).await, 200);
    }
    cluster.masters[2].signal(Signal::STOP);
    let path = format!("/conversations/{}", users[2]);
    let hanging = async {
        let begun = Instant::now();
        app.get(&path).await.problem(503, "UNAVAILABLE");
        assert!(begun.elapsed() < Duration::from_millis(2500));
    };
    let working = async {
        for n in 0..100 {
            let begun = Instant::now();
            assert_eq!(inbox_status(&app, &users[n % 2]).await, 200);
            assert!(
                begun.elapsed() < Duration::from_millis(800),
                "{:?}",
                begun.elapsed()
            );
        }
    };
    join(hanging, working).await;
    cluster.masters[2].signal(Signal::CONT);
    let back = async || inbox_status(&app, &users[2]).await == 200;
    eventually("its users are served again", Duration::from_secs(10), back).await;
}

#[tokio::test]
async fn a_node_that_is_named_by_a_wrong_address_is_reported() {
    let cluster = RedisCluster::start();
    let port = free_port();
    let home = cluster.master_of(cluster.slot_of(&Keys::new().store()));
    home.run(&format!("CONFIG SET cluster-announce-port {port}"));
    let is_known = async || {
        let named = format!(":{port}@");
        cluster
            .masters
            .iter()
            .all(|master| nodes_known_to(master).contains(&named))
    };
    eventually("the address is known", Duration::from_secs(10), is_known).await;
    let refused = refusal_to_start(&["--redis-url", &cluster.url()]).to_string();
    let named = format!("The cluster names 127.0.0.1:{port}, which cannot be reached");
    assert!(refused.contains(&named), "{refused}");
}

#[tokio::test]
async fn one_redis_is_not_taken_for_a_cluster() {
    let redis = TcpServer::start(&[]);
    let url = format!("redis+cluster://{}", redis.address());
    let refused = refusal_to_start(&["--redis-url", &url]).to_string();
    assert!(
        refused.contains("is not a node of a Redis Cluster: use redis://"),
        "{refused}"
    );
}
