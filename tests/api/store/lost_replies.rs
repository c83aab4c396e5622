//! A reply of a cluster that is lost on its way, after the call was run.

use std::time::Duration;

use duologue::model::{Pair, UserId};
use duologue::store::Keys;
use serde_json::json;

use crate::harness::store::redis_cluster::{RedisCluster, nodes_known_to};
use crate::harness::store::relay::Relay;
use crate::harness::{TestApp, eventually, spawn_app_on};

/// A cluster whose first master is reached through a relay.
async fn cluster_behind_relay() -> (RedisCluster, Relay) {
    let cluster = RedisCluster::start();
    let first = &cluster.masters[0];
    let relay = Relay::to(first.port, "send_message");
    first.run(&format!("CONFIG SET cluster-announce-port {}", relay.port));
    let named = format!(":{}@", relay.port);
    let is_known = async || {
        let mut all = cluster.masters.iter();
        all.all(|master| nodes_known_to(master).contains(&named))
    };
    eventually("the relay is known", Duration::from_secs(10), is_known).await;
    (cluster, relay)
}

/// A user whose conversation with bob is at the first master.
fn user_at_first(cluster: &RedisCluster) -> String {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    let is_there = |name: &String| {
        let keys = Keys::new().conversation(&Pair::of(&user(name), &user("bob")));
        RedisCluster::index_of(cluster.slot_of(&keys[0])) == 0
    };
    let mut users = (0..10_000).map(|n| format!("user-{n}"));
    users.find(is_there).unwrap()
}

async fn last_seq(app: &TestApp, user: &str) -> u64 {
    let page = app.peek("bob", user).await;
    page["last_seq"].as_u64().unwrap()
}

#[tokio::test]
async fn a_lost_reply_of_a_cluster_is_unknown_and_not_repeated() {
    let (cluster, relay) = cluster_behind_relay().await;
    let url = format!("redis+cluster://{}", cluster.masters[1].address());
    let app = spawn_app_on(&url);
    let user = user_at_first(&cluster);
    app.send(&user, "bob", "one").await;
    relay.lose_next_reply();
    let message = json!({"from": user, "to": "bob", "body": "two"});
    app.post(&message).await.problem(503, "OUTCOME_UNKNOWN");
    assert!(relay.has_lost());
    assert_eq!(last_seq(&app, &user).await, 2, "stored once");
}

#[tokio::test]
async fn a_lost_reply_of_a_cluster_is_repeated_with_a_key() {
    let (cluster, relay) = cluster_behind_relay().await;
    let url = format!("redis+cluster://{}", cluster.masters[1].address());
    let app = spawn_app_on(&url);
    let user = user_at_first(&cluster);
    app.send(&user, "bob", "one").await;
    relay.lose_next_reply();
    let message = json!({"from": user, "to": "bob", "body": "two"});
    let sent = app.send_with_key("key", &message).await;
    assert!([200, 201].contains(&sent.status), "{}", sent.text);
    assert!(relay.has_lost());
    let again = app.send_with_key("key", &message).await.json(200);
    assert_eq!(again["seq"], 2);
    assert_eq!(last_seq(&app, &user).await, 2, "stored once");
}
