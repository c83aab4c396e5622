//! A URL that does not fit what answers at its address.

use crate::harness::refusal_to_start;
use crate::harness::store::tcp_server::TcpServer;

/// A node of a cluster, which owns no slot.
fn cluster_node() -> TcpServer {
    TcpServer::start(&["--cluster-enabled", "yes", "--cluster-port", "PORT"])
}

#[test]
fn a_plain_url_of_a_cluster_is_refused_with_the_right_form() {
    let node = cluster_node();
    let refused = refusal_to_start(&["--redis-url", &node.url()]).to_string();
    assert!(
        refused.contains("is a node of a Redis Cluster"),
        "{refused}"
    );
    assert!(
        refused.contains("use redis+cluster://HOST:PORT"),
        "{refused}"
    );
}

#[test]
fn a_cluster_is_recognized_without_permission_for_info() {
    let node = cluster_node();
    node.run("ACL SETUSER duologue on >password allkeys allchannels +@all -info");
    let url = format!("redis://duologue:password@{}", node.address());
    let refused = refusal_to_start(&["--redis-url", &url]).to_string();
    assert!(
        refused.contains("is a node of a Redis Cluster"),
        "{refused}"
    );
}

#[test]
fn a_plain_url_of_a_sentinel_is_refused_with_the_right_form() {
    let sentinel = TcpServer::start(&["--sentinel"]);
    let refused = refusal_to_start(&["--redis-url", &sentinel.url()]).to_string();
    assert!(
        refused.contains("the address of a Redis Sentinel"),
        "{refused}"
    );
    assert!(refused.contains("/SERVICE"), "{refused}");
}
