//! A cluster and sentinels with TLS: which certificates are accepted, and one sentence for each that is not.

use std::sync::Arc;
use std::time::Duration;

use duologue::config::Config;
use duologue::metrics::Metrics;
use duologue::model::Retention;
use duologue::store::{Keys, Store};
use serde_json::json;

use crate::harness::auth::certificate_authority::CertificateAuthority;
use crate::harness::live::device::Device;
use crate::harness::metrics::metric;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::redis_sentinel::{RedisSentinel, port_for_others};
use crate::harness::store::tcp_server::free_port;
use crate::harness::{TestApp, eventually, spawn_app_with};
use crate::store::cluster::{inbox_status, user_at};
use crate::store::sentinel::wait_until_used;

fn words(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// A cluster whose certificate is for a host, with these further options.
fn cluster(authority: &CertificateAuthority, host: &str, options: &[&str]) -> RedisCluster {
    let tls = authority.redis_options(host);
    RedisCluster::with_options(&[&words(&tls), options].concat())
}

fn cluster_url(cluster: &RedisCluster, host: &str) -> String {
    let nodes = cluster.masters[..2].iter().map(port_for_others);
    let nodes: Vec<_> = nodes.map(|port| format!("{host}:{port}")).collect();
    format!("rediss+cluster://{}", nodes.join(","))
}

fn sentinels(authority: &CertificateAuthority) -> RedisSentinel {
    RedisSentinel::with_options(&words(&authority.redis_options("127.0.0.1")))
}

fn sentinel_url(redis: &RedisSentinel, service: &str) -> String {
    let port = port_for_others(&redis.sentinel);
    format!("rediss+sentinel://127.0.0.1:{port}/{service}")
}

/// A service that trusts an authority.
fn spawn(url: &str, authority: &CertificateAuthority) -> TestApp {
    let settings = authority.service_settings();
    spawn_app_with(&[&["--redis-url", url], &words(&settings)[..]].concat())
}

/// Why a store cannot be used by a service that trusts an authority.
async fn why_unusable(url: &str, authority: &CertificateAuthority) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = authority.service_settings();
    let settings = [&["duologue"], &words(&settings)[..]].concat();
    let network = Config::read(settings).unwrap().network;
    let certificates = network.redis_certificates().unwrap();
    let metrics = Arc::new(Metrics::new());
    let store = Store::new(url, certificates, Retention::default(), metrics).unwrap();
    let unusable = match store.find_nodes().await {
        Ok(()) => store.check_ready().await.map(|_| ()),
        failed => failed,
    };
    unusable.unwrap_err().to_string()
}

/// How long a busy machine may take for handshakes.
const CONNECTED: Duration = Duration::from_secs(60);

/// Sends a message and waits until the peer has it.
async fn send_to(app: &TestApp, peer: &str) {
    let message = json!({"from": "alice", "to": peer, "body": "hi"});
    let sent = async || matches!(app.send_with_key(peer, &message).await.status, 200 | 201);
    eventually("the message is sent", CONNECTED, sent).await;
    app.unread_becomes(peer, 1, CONNECTED).await;
}

/// Users whose conversations and inboxes are at all nodes.
async fn send_to_many(app: &TestApp) {
    for n in 0..20 {
        send_to(app, &format!("peer-{n}")).await;
    }
}

#[tokio::test]
async fn a_tls_cluster_is_used_by_its_addresses() {
    let authority = CertificateAuthority::new();
    let cluster = cluster(&authority, "127.0.0.1", &[]);
    let app = spawn(&cluster_url(&cluster, "127.0.0.1"), &authority);
    let mut device = Device::connect(&app, "peer-1").await;
    send_to_many(&app).await;
    assert_eq!(device.next().await["peer"], "alice");
}

#[tokio::test]
async fn a_tls_cluster_is_used_by_the_names_that_it_announces() {
    let authority = CertificateAuthority::new();
    let announced = [
        "--cluster-announce-hostname",
        "localhost",
        "--cluster-preferred-endpoint-type",
        "hostname",
    ];
    let cluster = cluster(&authority, "localhost", &announced);
    let app = spawn(&cluster_url(&cluster, "localhost"), &authority);
    send_to_many(&app).await;
    // The new node of a slot is named in the same way.
    let user = user_at(&cluster, 0);
    let slot = cluster.slot_of(&Keys::new().inbox(&user));
    assert_eq!(inbox_status(&app, &user).await, 200);
    cluster.begin_move(slot, 0, 1);
    cluster.end_move(slot, 0, 1);
    let served = async || inbox_status(&app, &user).await == 200;
    eventually("its new node serves it", CONNECTED, served).await;
    assert!(metric(&app, r#"duologue_redirects_total{kind="moved"}"#).await >= 1.0);
}

#[tokio::test]
async fn a_certificate_without_the_name_of_a_node_is_reported() {
    let authority = CertificateAuthority::new();
    let cluster = cluster(&authority, "localhost", &[]);
    let why = why_unusable(&cluster_url(&cluster, "localhost"), &authority).await;
    assert!(why.contains("The cluster names 127.0.0.1:"), "{why}");
    let reason =
        "which cannot be reached: invalid peer certificate: certificate not valid for name";
    assert!(why.contains(reason), "{why}");
}

#[tokio::test]
async fn a_cluster_of_another_authority_is_not_used() {
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let cluster = cluster(&authority, "127.0.0.1", &[]);
    let url = cluster_url(&cluster, "127.0.0.1");
    let why = why_unusable(&url, &stranger).await;
    assert!(why.contains("invalid peer certificate"), "{why}");
}

#[tokio::test]
async fn a_tls_node_at_a_wrong_address_is_reported() {
    let authority = CertificateAuthority::new();
    let cluster = cluster(&authority, "127.0.0.1", &[]);
    let port = free_port();
    let home = cluster.master_of(cluster.slot_of(&Keys::new().store()));
    home.run(&format!("CONFIG SET cluster-announce-tls-port {port}"));
    let url = cluster_url(&cluster, "127.0.0.1");
    let named = format!("The cluster names 127.0.0.1:{port}, which cannot be reached");
    let is_reported = async || why_unusable(&url, &authority).await.contains(&named);
    eventually("it is named", CONNECTED, is_reported).await;
}

#[tokio::test]
async fn tls_sentinels_lead_to_the_master_and_to_the_next_one() {
    let authority = CertificateAuthority::new();
    let redis = sentinels(&authority);
    let app = spawn(&sentinel_url(&redis, "mymaster"), &authority);
    send_to(&app, "bob").await;
    redis.hand_over();
    let failed_over = async || redis.has_failed_over();
    eventually("the replica is the master", CONNECTED, failed_over).await;
    let master = format!("127.0.0.1:{}", port_for_others(&redis.replica));
    wait_until_used(&app, &master).await;
    send_to(&app, "carol").await;
}

#[tokio::test]
async fn tls_sentinels_that_cannot_be_used_are_reported() {
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let redis = sentinels(&authority);
    let why = why_unusable(&sentinel_url(&redis, "mymaster"), &stranger).await;
    assert!(why.contains("invalid peer certificate"), "{why}");
    let named = "The sentinels name no working master of the service `other`.";
    let url = sentinel_url(&redis, "other");
    // On a busy machine an answer with TLS can take longer than the service waits.
    let is_named = async || why_unusable(&url, &authority).await.contains(named);
    eventually("it is named", CONNECTED, is_named).await;
}
