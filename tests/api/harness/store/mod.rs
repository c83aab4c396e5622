//! The Redis servers of tests, and Lua scripts called directly.

pub mod callgrind;
pub mod cluster_nodes;
pub mod contents;
pub mod direct_connection;
pub mod lua;
pub mod network;
pub mod outbox;
pub mod pooled_cluster;
pub mod redis_cluster;
pub mod redis_proxy;
pub mod redis_sentinel;
pub mod redis_server;
pub mod relay;
pub mod replica;
pub mod replicated_cluster;
pub mod rooms;
pub mod tcp_server;
