//! What a replica of Redis has that did not receive the last changes, to become the master in a test.

use redis::{ConnectionLike, cmd};

/// Some keys with their values at an earlier time.
pub struct OldReplica(Vec<(String, Vec<u8>)>);

impl OldReplica {
    /// Copies the keys whose last part is one of these names.
    pub fn of(redis: &mut impl ConnectionLike, names: &[&str]) -> Self {
        let keys: Vec<String> = cmd("KEYS").arg("dm:{*").query(redis).unwrap();
        let is_wanted = |key: &String| names.iter().any(|name| key.ends_with(&format!(":{name}")));
        let keys = keys.into_iter().filter(is_wanted);
        let copy = |key: String| {
            let value = cmd("DUMP").arg(&key).query(redis).unwrap();
            (key, value)
        };
        Self(keys.map(copy).collect())
    }

    /// Replaces the keys by their earlier values.
    pub fn takes_over(&self, redis: &mut impl ConnectionLike) {
        for (key, value) in &self.0 {
            let mut restore = cmd("RESTORE");
            restore.arg(key).arg(0).arg(value).arg("REPLACE");
            restore.exec(redis).unwrap();
        }
    }
}
