//! The contents of Redis, for tests that compare or search them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::harness::{TestApp, eventually};

/// How long the work that requests leave in the background may take.
const SETTLED: Duration = Duration::from_secs(15);

impl TestApp {
    /// All values of lists and hashes in Redis, for searching; `DUMP` would compress them.
    pub fn texts(&self) -> String {
        let mut redis = self.redis();
        let mut all = Vec::<String>::new();
        for key in self.contents().into_keys() {
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut redis).unwrap();
            let mut command = match kind.as_str() {
                "list" => redis::cmd("LRANGE"),
                "hash" => redis::cmd("HGETALL"),
                _ => continue,
            };
            command.arg(&key);
            let range: &[i32] = if kind == "list" { &[0, -1] } else { &[] };
            all.extend(command.arg(range).query::<Vec<String>>(&mut redis).unwrap());
        }
        all.concat()
    }

    /// Deletes everything that users created.
    pub fn forget_everything(&self) {
        let mut redis = self.redis();
        let keys: Vec<String> = redis::cmd("KEYS").arg("dm:{*").query(&mut redis).unwrap();
        // One by one, because their slots differ.
        for key in keys.into_iter().chain(["dm:subscriptions".to_owned()]) {
            redis::cmd("DEL").arg(key).exec(&mut redis).unwrap();
        }
    }

    /// Every key and its value except rate-limit counters and outboxes, which empty by themselves, for comparison.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut redis = self.redis();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
        let keys = keys
            .into_iter()
            .filter(|key| !key.contains(":rate:") && !key.ends_with(":outbox"));
        keys.map(|key| {
            let dump = redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap();
            (key, dump)
        })
        .collect()
    }

    /// The same once the work that earlier requests left in the background is done.
    pub async fn settled_contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut contents = self.contents();
        let is_settled = async || {
            sleep(Duration::from_millis(30)).await;
            self.all_filed().await;
            let before = std::mem::replace(&mut contents, self.contents());
            before == contents
        };
        eventually("nothing changes any more", SETTLED, is_settled).await;
        contents
    }
}
