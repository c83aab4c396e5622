//! Clusters that one test uses after another.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use redis::RedisResult;

use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::redis_cluster::RedisCluster;

/// The clusters that no test uses.
static POOL: LazyLock<Mutex<Vec<RedisCluster>>> = LazyLock::new(Mutex::default);

/// A cluster of the pool, which returns there when dropped, unless the test has configured it.
pub struct PooledCluster {
    cluster: Option<RedisCluster>,
    configuration: Vec<BTreeMap<String, String>>,
}

impl PooledCluster {
    /// An empty cluster.
    pub fn take() -> Self {
        let free = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let cluster = free.unwrap_or_else(RedisCluster::start);
        Self {
            configuration: configuration(&cluster).unwrap(),
            cluster: Some(cluster),
        }
    }

    pub fn url(&self) -> String {
        self.cluster.as_ref().map(RedisCluster::url).unwrap()
    }

    /// A connection to all masters.
    pub fn connect(&self) -> DirectConnection {
        self.cluster.as_ref().map(RedisCluster::connect).unwrap()
    }
}

impl Drop for PooledCluster {
    fn drop(&mut self) {
        let is_unchanged = |cluster: &RedisCluster| {
            configuration(cluster).as_ref() == Ok(&self.configuration) && reset(cluster)
        };
        if let Some(cluster) = self.cluster.take().filter(is_unchanged) {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            pool.push(cluster);
        }
    }
}

/// The configuration of each master.
fn configuration(cluster: &RedisCluster) -> RedisResult<Vec<BTreeMap<String, String>>> {
    let configurations = cluster.masters.iter().map(|master| {
        let mut config = redis::cmd("CONFIG");
        let config = config.arg("GET").arg("*");
        config.query(&mut redis::Client::open(master.url())?.get_connection()?)
    });
    configurations.collect()
}

/// Deletes all data of a cluster; whether it works and that was possible.
fn reset(cluster: &RedisCluster) -> bool {
    let flushed = cluster.masters.iter().all(|master| {
        let connection = redis::Client::open(master.url()).unwrap().get_connection();
        connection.is_ok_and(|mut open| redis::cmd("FLUSHALL").exec(&mut open).is_ok())
    });
    flushed && cluster.is_complete()
}
