//! Whether the store is there, is ours, and how safe what it says is.

use redis::InfoDict;
use tokio::time::timeout;

use super::script::{CHECK_READY, OPEN_STORE};
use super::{PARTITIONS, Store, connection};
use crate::error::{Code, Error};

/// What Redis says of itself.
#[derive(Clone, Debug)]
pub struct Health {
    /// `redis_version`; a Valkey tells the Redis version it is compatible with.
    pub version: String,
    /// `master` or `slave`, in Redis' words.
    pub role: String,
    /// How safe an acknowledged write is.
    pub durability: Durability,
}

/// How safe an acknowledged write is.
#[derive(Clone, Debug)]
pub struct Durability {
    /// Whether writes go to an append-only file.
    pub appendonly: bool,
    /// When that file is flushed: `always`, `everysec` or `no`. `None` where Redis will not say
    /// (managed services forbid `CONFIG`).
    pub appendfsync: Option<String>,
    /// What happens when memory is full. Anything but `noeviction` deletes messages.
    pub maxmemory_policy: String,
}

impl Durability {
    /// What is weaker than what the embedded Redis gives, each in a sentence.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.appendonly {
            warnings
                .push("appendonly is off: messages since the last snapshot die with Redis".into());
        } else if let Some(fsync) = self
            .appendfsync
            .as_deref()
            .filter(|fsync| *fsync != "always")
        {
            warnings.push(format!(
                "appendfsync is {fsync}: a crash may lose the last second or more"
            ));
        }
        if self.maxmemory_policy != "noeviction" {
            let policy = &self.maxmemory_policy;
            warnings.push(format!(
                "maxmemory-policy is {policy}: a full Redis deletes conversations"
            ));
        }
        warnings
    }
}

impl Health {
    /// Whether this Redis has all the scripts need: shebangs came with 7.0.
    pub fn is_recent_enough(&self) -> bool {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major >= 7)
    }
}

impl Store {
    /// Claims an empty Redis as a store, or makes sure that this one was made with the same number
    /// of partitions. Once, at start.
    pub async fn open_store(&self) -> Result<(), Error> {
        let ours = PARTITIONS.to_string();
        let keys = [self.keys.partitions()];
        let theirs = self
            .run::<u16>(&OPEN_STORE, &keys, &[ours.as_bytes()])
            .await?;
        if theirs == PARTITIONS {
            return Ok(());
        }
        let detail = format!("this store was made with {theirs} partitions, not {PARTITIONS}");
        Err(Error::new(Code::Internal, detail))
    }

    /// Whether scripts run, on the store that was opened, and writes are taken; and what Redis says
    /// of itself.
    pub async fn check_ready(&self) -> Result<Health, Error> {
        let refused = |why: &'static str| Err(Error::new(Code::Unavailable, why));
        match self
            .run::<Option<u16>>(&CHECK_READY, &[self.keys.partitions()], &[])
            .await?
        {
            Some(PARTITIONS) => match self.health().await? {
                health if health.role == "master" => Ok(health),
                _ => refused("this Redis is a replica and takes no writes"),
            },
            _ => refused("this Redis is not the store that was opened"),
        }
    }

    /// Asks Redis about itself, over the pool.
    pub async fn health(&self) -> Result<Health, Error> {
        let unavailable = |why: String| Error::new(Code::Unavailable, why);
        let asked = async {
            let mut connection = self
                .pool
                .get()
                .await
                .map_err(|e| unavailable(e.to_string()))?;
            let info = redis::cmd("INFO")
                .query_async::<InfoDict>(&mut connection)
                .await;
            let info = info.map_err(|e| unavailable(e.to_string()))?;
            let mut config = redis::cmd("CONFIG");
            config.arg("GET").arg("appendfsync");
            let fsync = config
                .query_async::<(String, String)>(&mut connection)
                .await
                .ok();
            let text = |field| info.get::<String>(field).unwrap_or_default();
            Ok(Health {
                version: text("redis_version"),
                role: text("role"),
                durability: Durability {
                    appendonly: text("aof_enabled") == "1",
                    appendfsync: fsync.map(|(_, when)| when),
                    maxmemory_policy: text("maxmemory_policy"),
                },
            })
        };
        timeout(connection::TIMEOUT, asked)
            .await
            .unwrap_or_else(|_| Err(Code::Unavailable.into()))
    }
}
