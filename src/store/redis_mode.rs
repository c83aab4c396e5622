//! Whether the URL of the store fits what answers at its address.

use redis::{InfoDict, RedisResult};

use super::{Store, administered};
use crate::error::{Code, Error};

/// The value of `redis_mode` in `INFO`, `server_mode` in that of Valkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisMode {
    /// One Redis, with or without replicas.
    Standalone,
    /// A node of a Redis Cluster.
    Cluster,
    /// A Redis Sentinel, which stores no data.
    Sentinel,
}

impl Store {
    /// Finds the nodes of a cluster. Nothing to do for any other store.
    pub async fn find_nodes(&self) -> Result<(), Error> {
        let Some(cluster) = self.topology.cluster() else {
            return Ok(());
        };
        let found = Box::pin(cluster.read_map()).await;
        found.map_err(|why| Error::new(Code::Unavailable, why))
    }

    /// Whether the URL names a cluster.
    pub fn is_cluster(&self) -> bool {
        self.topology.is_cluster()
    }

    /// What answers at the address of the store.
    pub async fn redis_mode(&self) -> Result<RedisMode, Error> {
        administered(async {
            let mut connection = self.pooled_connection().await?;
            let mut info = redis::cmd("INFO");
            let info: RedisResult<InfoDict> = info.arg("server").query_async(&mut connection).await;
            match info {
                Ok(info) => {
                    // Valkey 8 has a name of its own for it.
                    let names = ["redis_mode", "server_mode"];
                    let mode = names.into_iter().find_map(|name| info.get::<String>(name));
                    Ok(mode_of(mode.as_deref()))
                }
                Err(error) if error.code() == Some("NOPERM") => {
                    // Only a cluster answers this.
                    let mut state = redis::cmd("CLUSTER");
                    let state = state.arg("INFO").exec_async(&mut connection).await;
                    let mode = state.map(|()| RedisMode::Cluster);
                    Ok(mode.unwrap_or(RedisMode::Standalone))
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }
}

fn mode_of(word: Option<&str>) -> RedisMode {
    match word {
        Some("cluster") => RedisMode::Cluster,
        Some("sentinel") => RedisMode::Sentinel,
        _ => RedisMode::Standalone,
    }
}
