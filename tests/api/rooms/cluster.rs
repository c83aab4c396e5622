//! Rooms on a cluster, where their members' inboxes are on other nodes.

use std::time::Duration;

use duologue::store::Keys;
use rustix::process::Signal;

use crate::harness::spawn_app_on;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::rooms::{create_room, keys_of_room};

/// How long an inbox may take to follow after a fault.
const UPDATED: Duration = Duration::from_secs(30);

/// The place of the master of a key.
fn master_of(cluster: &RedisCluster, key: &str) -> usize {
    RedisCluster::index_of(cluster.slot_of(key))
}

/// Some users whose inboxes are on one master.
fn users_at(cluster: &RedisCluster, master: usize, count: usize) -> Vec<String> {
    let names = (0..).map(|n| format!("user-{n}"));
    let names = names.filter(|name| master_of(cluster, &Keys::new().inbox(name)) == master);
    names.take(count).collect()
}

#[tokio::test]
async fn a_hanging_node_delays_only_the_inboxes_on_it() {
    let cluster = RedisCluster::start();
    let of_room = master_of(&cluster, &keys_of_room("general")[0]);
    let (works, hangs) = ((of_room + 1) % 3, (of_room + 2) % 3);
    let app = spawn_app_on(&cluster.url());
    let members = [users_at(&cluster, works, 4), users_at(&cluster, hangs, 4)].concat();
    create_room(&mut cluster.connect(), "general", &members);
    app.send(&members[0], "room:general", "one").await;
    for member in &members[1..] {
        app.unread_becomes(member, 1, UPDATED).await;
    }
    cluster.masters[hangs].signal(Signal::STOP);
    for body in ["two", "three"] {
        app.send(&members[0], "room:general", body).await;
    }
    for member in &members[1..4] {
        app.unread_becomes(member, 3, UPDATED).await;
    }
    cluster.masters[hangs].signal(Signal::CONT);
    for member in &members[4..] {
        app.unread_becomes(member, 3, UPDATED).await;
    }
}
