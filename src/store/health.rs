//! Checks of the store: its format, readiness and durability.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use redis::InfoDict;

use super::script::{CHECK_PERMISSIONS, CHECK_READY, OPEN_STORE, SCRIPTS};
use super::{Store, administered};
use crate::error::{Code, Error};

/// The value of `dm:store`: the storage format and the number of partitions.
const STORE: &str = "3,256";
/// The key that marks a store of format 1.
const FIRST_MARKER: &str = "dm:partitions";

/// Calls outside of scripts, without those for functions, which are optional. `EVAL` and `EVALSHA` have all
/// arguments because Redis 7.0 crashes when it checks the permission of such a call with too few.
const COMMANDS: [&str; 9] = [
    "PING",
    "EVAL x 0",
    "EVALSHA x 0",
    "EXISTS dm:",
    "SCAN",
    "SPUBLISH dm:",
    "PUBSUB SHARDNUMSUB",
    "SSUBSCRIBE dm:",
    "SUNSUBSCRIBE dm:",
];

/// Every call that the service makes, each with a key or a channel if it needs one.
static CALLS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let sources = SCRIPTS.iter().map(|script| script.source.as_str());
    let calls = sources.flat_map(|source| source.split("call('").skip(1));
    let names = calls.filter_map(|call| call.split('\'').next());
    let in_scripts = names.map(|name| match name {
        "TIME" | "INFO" => name.to_owned(),
        _ => format!("{name} dm:"),
    });
    in_scripts.chain(COMMANDS.map(str::to_owned)).collect()
});

/// What Redis reports about itself.
#[derive(Clone, Debug)]
pub struct Health {
    /// `redis_version`; Valkey reports the Redis version that it is compatible with.
    pub version: String,
    /// `master` or `slave`.
    pub role: String,
    /// How durable an acknowledged write is.
    pub durability: Durability,
}

/// How safe an acknowledged write is.
#[derive(Clone, Debug)]
pub struct Durability {
    /// Whether writes go to an append-only file.
    pub appendonly: bool,
    /// When that file is flushed: `always`, `everysec` or `no`. `None` if unknown, because managed
    /// services forbid `CONFIG`.
    pub appendfsync: Option<String>,
    /// The policy for full memory. Any but `noeviction` deletes messages.
    pub maxmemory_policy: String,
}

impl Durability {
    /// One sentence for each setting that is weaker than that of the embedded Redis.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.appendonly {
            warnings.push(
                "appendonly is off: a crash of Redis loses the messages since the last snapshot"
                    .into(),
            );
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
    /// Whether this Redis supports the scripts, whose shebangs require 7.0.
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
    /// Writes format and number of partitions into an empty Redis, or checks those of an existing
    /// store. Called once, at start.
    pub async fn open_store(&self) -> Result<(), Error> {
        if self.has_first_format().await? {
            let detail = "this store was made by an earlier version of Duologue (format 1) and cannot be \
                          read: start with an empty data directory or Redis database";
            return Err(Error::new(Code::Internal, detail));
        }
        let found: String = self
            .run(&OPEN_STORE, &[self.keys.store()], &[STORE.as_bytes()])
            .await?;
        if found == STORE {
            return Ok(());
        }
        let detail = format!(
            "this store has the format and number of partitions {found}, and this version of \
             Duologue needs {STORE}: start the version that made it, or with an empty data directory \
             or Redis database"
        );
        Err(Error::new(Code::Internal, detail))
    }

    /// Whether this is a store of format 1, which had a different marker.
    async fn has_first_format(&self) -> Result<bool, Error> {
        administered(async {
            let mut connection = self.pooled_connection().await?;
            let exists = redis::cmd("EXISTS")
                .arg(FIRST_MARKER)
                .query_async(&mut connection)
                .await;
            exists.map_err(|e| e.to_string())
        })
        .await
    }

    /// Returns the calls of the service that the ACL of Redis does not permit. A script that fails in the
    /// middle leaves half of its writes.
    pub async fn check_permissions(&self) -> Result<Vec<String>, Error> {
        let calls: Vec<_> = CALLS.iter().map(String::as_bytes).collect();
        self.run(&CHECK_PERMISSIONS, &[], &calls).await
    }

    /// Checks that scripts run, that this is the store that was opened, and that it permits and accepts
    /// writes.
    pub async fn check_ready(&self) -> Result<Health, Error> {
        let refused = |why: &'static str| Err(Error::new(Code::Unavailable, why));
        let store: Option<String> = self.run(&CHECK_READY, &[self.keys.store()], &[]).await?;
        if store.as_deref() != Some(STORE) {
            return refused("This Redis is not the store that was opened.");
        }
        let refused_calls = self.check_permissions().await?;
        if !refused_calls.is_empty() {
            let calls = refused_calls.join(", ");
            let detail = format!("The ACL of Redis does not permit these calls: {calls}.");
            return Err(Error::new(Code::Unavailable, detail));
        }
        match self.health().await? {
            health if health.role == "master" => Ok(health),
            _ => refused("This Redis is a replica, which accepts no writes."),
        }
    }

    /// Reads what Redis reports about itself, over a connection of the pool.
    pub async fn health(&self) -> Result<Health, Error> {
        administered(async {
            let mut connection = self.pooled_connection().await?;
            let info = redis::cmd("INFO")
                .query_async::<InfoDict>(&mut connection)
                .await;
            let info = info.map_err(|e| e.to_string())?;
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
        })
        .await
    }
}
