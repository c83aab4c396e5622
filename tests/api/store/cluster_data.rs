//! The data of a cluster: a node whose memory is full, a store that moves from one Redis, and changes whose
//! users are on a node that hangs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use duologue::model::{Pair, UserId};
use duologue::store::Keys;
use futures_util::future::join;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::tcp_server::TcpServer;
use crate::harness::{TestApp, spawn_app_on};

/// How long updates of inboxes may take after a fault.
const UPDATED: Duration = Duration::from_secs(20);

/// The place of the master of a key.
fn master_of(cluster: &RedisCluster, key: &str) -> usize {
    let port = cluster.master_of(cluster.slot_of(key)).port;
    let mut masters = cluster.masters.iter();
    masters.position(|master| master.port == port).unwrap()
}

fn master_of_user(cluster: &RedisCluster, user: &str) -> usize {
    master_of(cluster, &Keys::new().inbox(user))
}

fn master_of_pair(cluster: &RedisCluster, one: &str, other: &str) -> usize {
    let [one, other] = [one, other].map(|id| UserId::try_from(id.to_owned()).unwrap());
    master_of(cluster, &Keys::new().messages(&Pair::of(&one, &other)))
}

/// A user and a peer: the masters of the conversation, of the user and of the peer are these.
fn users_at(cluster: &RedisCluster, pair: usize, user: usize, peer: usize) -> [String; 2] {
    let names = |at: usize| {
        let names = (0..).map(|n| format!("user-{n}"));
        names.filter(move |name| master_of_user(cluster, name) == at)
    };
    let user = names(user).next().unwrap();
    let peer =
        names(peer).find(|peer| *peer != user && master_of_pair(cluster, &user, peer) == pair);
    [user, peer.unwrap()]
}

async fn send_status(app: &TestApp, [from, to]: &[String; 2]) -> u16 {
    let message = json!({"from": from, "to": to, "body": "hi"});
    app.post(&message).await.status
}

#[tokio::test]
async fn a_full_node_refuses_only_messages_of_its_conversations() {
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let full = users_at(&cluster, 0, 1, 2);
    let recipient_is_full = users_at(&cluster, 1, 2, 0);
    for users in [&full, &recipient_is_full] {
        assert_eq!(send_status(&app, users).await, 201);
    }
    cluster.masters[0].run("CONFIG SET maxmemory 1");
    assert_eq!(send_status(&app, &full).await, 507);
    assert_eq!(send_status(&app, &recipient_is_full).await, 201);
    let [from, to] = &recipient_is_full;
    assert_eq!(
        app.badge(to).await,
        [2, 1],
        "its inbox is updated all the same"
    );
    assert_eq!(app.read(to, from).await["unread_count"], 2);
    let [from, to] = &full;
    assert_eq!(app.read(to, from).await["unread_count"], 1);
    assert_eq!(app.badge(to).await, [0, 0]);
}

/// The times that so many sends take, shortest first. Each must be accepted.
async fn times_of_sends(app: &TestApp, users: &[String; 2], count: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        assert_eq!(send_status(app, users).await, 201);
        times.push(begun.elapsed());
    }
    times.sort();
    times
}

#[tokio::test]
async fn a_hanging_node_of_a_recipient_delays_only_the_inbox() {
    const SENDS: usize = 200;
    const WAITING: usize = 3;
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let elsewhere = users_at(&cluster, 0, 1, 1);
    let recipient_hangs = users_at(&cluster, 0, 1, 2);
    for users in [&elsewhere, &recipient_hangs] {
        assert_eq!(send_status(&app, users).await, 201);
    }
    // The machine itself may delay sends: what counts is what the node adds.
    let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
    let usual = p99(&times_of_sends(&app, &elsewhere, SENDS).await);
    cluster.masters[2].signal(Signal::STOP);
    let hanging = times_of_sends(&app, &recipient_hangs, WAITING);
    let sending = times_of_sends(&app, &elsewhere, SENDS);
    let (hanging, times) = join(hanging, sending).await;
    // An update of an inbox is waited for 300 ms.
    let (limit, delayed) = (Duration::from_millis(400) + usual, hanging[WAITING - 1]);
    assert!(delayed < limit, "{delayed:?}, usually {usual:?}");
    let (limit, delayed) = (Duration::from_millis(50).max(2 * usual), p99(&times));
    assert!(delayed < limit, "{delayed:?}, usually {usual:?}");
    cluster.masters[2].signal(Signal::CONT);
    let [_, to] = &recipient_hangs;
    app.unread_becomes(to, 1 + WAITING as u64, UPDATED).await;
}

/// Copies all keys of a Redis into a cluster, as docs/operations.md says.
fn import(cluster: &RedisCluster, from: &TcpServer) {
    let imported = Command::new("redis-cli")
        .args(["--cluster", "import", &cluster.masters[0].address()])
        .args(["--cluster-from", &from.address(), "--cluster-copy"])
        .stdout(Stdio::null())
        .status();
    assert!(imported.unwrap().success());
}

#[tokio::test]
async fn a_store_that_moves_to_a_cluster_tells_no_event_twice() {
    let one = TcpServer::start(&["--save", "", "--appendonly", "no"]);
    let app = spawn_app_on(&one.url());
    let device = Device::connect(&app, "bob").await;
    app.send("alice", "bob", "one").await;
    app.flag(Method::PUT, "alice", "bob", "mute").await;
    app.send("carol", "bob", "two").await;
    let before = [app.inbox("bob", "").await, app.inbox("alice", "").await];
    let cursor = device.hello["cursor"].as_str().unwrap().to_owned();
    drop(device);
    drop(app);
    let cluster = RedisCluster::start();
    import(&cluster, &one);
    let app = spawn_app_on(&cluster.url());
    let after = [app.inbox("bob", "").await, app.inbox("alice", "").await];
    assert_eq!(after, before);
    let mut device = Device::connect_at(&app, "bob", &cursor).await;
    let told = device.events_within(Duration::from_secs(5)).await;
    let kinds: Vec<_> = told.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["message.created"; 2], "{told:?}");
    let sent = app.send("alice", "bob", "three").await;
    let event: Value = device.next().await;
    assert_eq!(
        (&event["type"], &event["message"]),
        (&json!("message.created"), &sent)
    );
}
