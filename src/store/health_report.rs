//! What the masters of the store report about themselves.

/// The state of the store.
#[derive(Clone, Debug)]
pub struct Health {
    /// The masters: one, unless it is a cluster.
    pub masters: Vec<MasterHealth>,
    /// One sentence for each thing that is wrong with the archive; `None` if there is none.
    pub archive_warnings: Option<Vec<String>>,
}

/// What a master reports about itself.
#[derive(Clone, Debug)]
pub struct MasterHealth {
    /// `host:port`, or the path of a socket.
    pub address: String,
    /// Its report; otherwise the reason why there is none.
    pub report: Result<MasterReport, String>,
}

/// The parts of `INFO` and of the configuration that matter.
#[derive(Clone, Debug)]
pub struct MasterReport {
    /// `redis_version`; Valkey reports the Redis version that it is compatible with.
    pub version: String,
    /// `master` or `slave`.
    pub role: String,
    /// How many replicas are connected.
    pub replicas: u64,
    /// How durable an acknowledged write is.
    pub durability: Durability,
    /// One sentence for each setting that can lose messages or delay a failover.
    pub warnings: Vec<String>,
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
    /// The version of a Redis that does not support the scripts, whose shebangs require 7.0.
    pub fn outdated_version(&self) -> Option<&str> {
        let reports = self.masters.iter().filter_map(|m| m.report.as_ref().ok());
        let mut versions = reports.map(|report| report.version.as_str());
        versions.find(|version| {
            let major = version
                .split('.')
                .next()
                .and_then(|major| major.parse::<u32>().ok());
            major.is_none_or(|major| major < 7)
        })
    }

    /// The warnings of all masters. In a cluster each begins with the address of its master.
    pub fn warnings(&self) -> Vec<String> {
        let alone = self.masters.len() == 1;
        let of = |master: &MasterHealth| {
            let address = if alone {
                String::new()
            } else {
                format!("{}: ", master.address)
            };
            let warnings = master.warnings().into_iter();
            warnings
                .map(|warning| format!("{address}{warning}"))
                .collect::<Vec<_>>()
        };
        self.masters.iter().flat_map(of).collect()
    }
}

impl MasterHealth {
    pub fn warnings(&self) -> Vec<String> {
        match &self.report {
            Ok(report) => report.warnings.clone(),
            Err(why) => vec![why.clone()],
        }
    }
}
