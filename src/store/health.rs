//! Checks of the store: its format, readiness and durability.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use futures_util::future::{join, join_all};
use redis::InfoDict;

use super::health_report::{Durability, Health, MasterHealth, MasterReport};
use super::script::{CHECK_PERMISSIONS, CHECK_READY, OPEN_STORE, SCRIPTS};
use super::{Node, Store, administered};
use crate::error::{Code, Error};

/// The value of `dm:store`: the storage format and the number of partitions.
const STORE: &str = "5,256";
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

/// Calls that only a cluster needs.
const CLUSTER_COMMANDS: [&str; 2] = ["CLUSTER SLOTS", "ASKING"];

/// The settings that decide what a failure loses.
const SETTINGS: [&str; 5] = [
    "appendfsync",
    "min-replicas-to-write",
    "min-replicas-max-lag",
    "cluster-node-timeout",
    "cluster-require-full-coverage",
];
/// The highest `cluster-node-timeout` without a warning.
const NODE_TIMEOUT_MS: u64 = 5000;
/// The highest `min-replicas-max-lag` without a warning.
const MAX_LAG_S: u64 = 10;

/// Every call that the service makes, each with a key or a channel if it needs one.
static CALLS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let sources = SCRIPTS.iter().map(|script| script.source.as_str());
    let calls = sources.flat_map(|source| source.split("call('").skip(1));
    let names = calls.filter_map(|call| call.split('\'').next());
    let in_scripts = names.map(|name| match name {
        "TIME" | "INFO" => name.to_owned(),
        "XGROUP" => "XGROUP CREATE dm: group $".to_owned(),
        "XINFO" => "XINFO STREAM dm:".to_owned(),
        "XREADGROUP" => "XREADGROUP GROUP group reader STREAMS dm: >".to_owned(),
        _ => format!("{name} dm:"),
    });
    in_scripts.chain(COMMANDS.map(str::to_owned)).collect()
});

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

    /// Whether this is a store of format 1, which had a different marker and supported no cluster.
    async fn has_first_format(&self) -> Result<bool, Error> {
        if self.is_cluster() {
            return Ok(false);
        }
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

    /// Returns the calls of the service that the ACL of a master does not permit. A script that fails in the
    /// middle leaves half of its writes. A master of a cluster that cannot be reached is left out.
    pub async fn check_permissions(&self) -> Result<Vec<String>, Error> {
        let mut calls: Vec<_> = CALLS.iter().map(String::as_bytes).collect();
        if self.is_cluster() {
            calls.extend(CLUSTER_COMMANDS.map(str::as_bytes));
        }
        if self.replicas > 0 {
            calls.push(b"WAIT 1 1");
        }
        let masters = self.masters();
        let checks = masters
            .iter()
            .map(|node| self.run_at::<Vec<String>>(node, &CHECK_PERMISSIONS, &calls));
        let mut refused = BTreeSet::new();
        for result in join_all(checks).await {
            match result {
                Ok(calls) => refused.extend(calls),
                Err(error) if self.is_cluster() && error.code == Code::Unavailable => {}
                Err(error) => return Err(error),
            }
        }
        Ok(refused.into_iter().collect())
    }

    /// Checks that scripts run, that this is the store that was opened, and that it permits and accepts
    /// writes.
    pub async fn check_ready(&self) -> Result<Health, Error> {
        let refused = |why: &'static str| Err(Error::new(Code::Unavailable, why));
        let keys = [self.keys.store()];
        let store: Option<String> = self.run(&CHECK_READY, &keys, &[]).await?;
        if store.as_deref() != Some(STORE) {
            return refused("This Redis is not the store that was opened.");
        }
        let (refused_calls, health) = join(self.check_permissions(), self.health()).await;
        let refused_calls = refused_calls.map_err(Error::as_read_error)?;
        if !refused_calls.is_empty() {
            let calls = refused_calls.join(", ");
            let detail = format!("The ACL of Redis does not permit these calls: {calls}.");
            return Err(Error::new(Code::Unavailable, detail));
        }
        let (health, node) = (health?, self.topology.node_of(&keys[0]));
        let address = self.topology.address(&node);
        let of_store = health
            .masters
            .iter()
            .find(|master| master.address == address);
        match of_store.map(|master| &master.report) {
            Some(Ok(report)) if report.role == "master" => Ok(health),
            Some(Err(why)) => Err(Error::new(Code::Unavailable, why.clone())),
            _ => refused("This Redis is a replica, which accepts no writes."),
        }
    }

    /// Reads what the masters report about themselves. Fails if no master can be reached.
    pub async fn health(&self) -> Result<Health, Error> {
        let nodes = self.masters();
        let reports = nodes.iter().map(async |node| {
            let report = administered(self.report(node)).await;
            MasterHealth {
                address: self.topology.address(node),
                report: report.map_err(|error| error.detail.into_owned()),
            }
        });
        let masters = join_all(reports).await;
        if masters.iter().any(|master| master.report.is_ok()) {
            return Ok(Health {
                masters,
                archive_warnings: self.archive_warnings(),
            });
        }
        let mut reasons = masters.into_iter().filter_map(|master| master.report.err());
        Err(reasons.next().map_or(Code::Unavailable.into(), |why| {
            Error::new(Code::Unavailable, why)
        }))
    }

    /// Reads what a master reports about itself, over a connection of its pool.
    async fn report(&self, node: &Node) -> Result<MasterReport, String> {
        let mut connection = self.topology.pooled_connection(node).await?;
        let info = redis::cmd("INFO");
        let info = info.query_async::<InfoDict>(&mut connection).await;
        let info = info.map_err(|e| e.to_string())?;
        let mut config = redis::cmd("CONFIG");
        // Managed services forbid it.
        let config = config
            .arg("GET")
            .arg(&SETTINGS)
            .query_async(&mut connection);
        let config: HashMap<String, String> = config.await.unwrap_or_default();
        let text = |field| info.get::<String>(field).unwrap_or_default();
        let durability = Durability {
            appendonly: text("aof_enabled") == "1",
            appendfsync: config.get("appendfsync").cloned(),
            maxmemory_policy: text("maxmemory_policy"),
        };
        let replicas = info.get("connected_slaves").unwrap_or(0);
        let mut warnings = durability.warnings();
        warnings.extend(self.replication_warnings(replicas, &config));
        Ok(MasterReport {
            version: text("redis_version"),
            role: text("role"),
            replicas,
            durability,
            warnings,
        })
    }

    /// One sentence for each setting that can lose messages in a failover, or delays it.
    fn replication_warnings(&self, replicas: u64, config: &HashMap<String, String>) -> Vec<String> {
        let mut warnings = Vec::new();
        let required = self.replicas;
        if replicas < u64::from(required) {
            warnings.push(format!(
                "DUOLOGUE_REPLICAS is {required} and {replicas} replicas are connected: changes fail with \
                 OUTCOME_UNKNOWN"
            ));
        }
        if !self.is_cluster() && !self.topology.has_sentinels() {
            return warnings;
        }
        if replicas == 0 {
            warnings.push("no replica is connected: nothing takes over if this Redis fails".into());
        }
        warnings.extend(min_replicas_warning(replicas, self.is_cluster(), config));
        if self.is_cluster() {
            warnings.extend(cluster_warnings(config));
        }
        warnings
    }
}

/// A sentence if the two `min-replicas` settings let a failover delete more than necessary, or stop the master too
/// easily. A master of a cluster that is cut off stops by itself, and with `min-replicas-to-write 1` and a single
/// replica it would stop whenever that one is away. Behind sentinels nothing else stops it.
fn min_replicas_warning(
    replicas: u64,
    is_cluster: bool,
    config: &HashMap<String, String>,
) -> Option<String> {
    let required = number(config, "min-replicas-to-write")?;
    let max_lag = number(config, "min-replicas-max-lag")?;
    // Each of the two switches both off.
    let off = [
        ("min-replicas-to-write", required),
        ("min-replicas-max-lag", max_lag),
    ];
    if let Some((name, _)) = off.into_iter().find(|(_, value)| *value == 0) {
        let consequence =
            "a master that is cut off from its replicas accepts messages that a failover deletes";
        let advised = !is_cluster || replicas >= 2;
        return advised.then(|| format!("{name} is 0: {consequence}"));
    }
    if replicas < required {
        return Some(format!(
            "min-replicas-to-write is {required} and {replicas} replicas are connected: no message is accepted"
        ));
    }
    if is_cluster && replicas == required {
        return Some(format!(
            "min-replicas-to-write is {required} and {replicas} replicas are connected: no message is accepted \
             while one of them is away"
        ));
    }
    (max_lag > MAX_LAG_S).then(|| {
        format!(
            "min-replicas-max-lag is {max_lag}: a master that is cut off from its replicas accepts messages for \
             {max_lag} s that a failover deletes"
        )
    })
}

/// One sentence for each setting of a cluster that makes the failure of a node worse.
fn cluster_warnings(config: &HashMap<String, String>) -> Vec<String> {
    let mut warnings = Vec::new();
    let timeout = number(config, "cluster-node-timeout");
    if let Some(timeout) = timeout.filter(|ms| *ms > NODE_TIMEOUT_MS) {
        warnings.push(format!(
            "cluster-node-timeout is {timeout} ms: a failover takes longer than that"
        ));
    }
    let coverage = config.get("cluster-require-full-coverage");
    if coverage.is_some_and(|value| value == "yes") {
        warnings.push(
            "cluster-require-full-coverage is yes: all masters stop when one has failed".into(),
        );
    }
    warnings
}

fn number(config: &HashMap<String, String>, name: &str) -> Option<u64> {
    config.get(name).and_then(|value| value.parse().ok())
}
