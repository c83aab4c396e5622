//! Changes in two steps that are not finished, because the process died between the steps or a node failed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{Commands, RedisResult};

use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::lua::keys_of_user;

/// The age of a change whose process has finished it, or given it up, by now.
pub const OLDEST_IN_PROGRESS: Duration = Duration::from_millis(300);
/// The age from which on any process finishes the change.
const REPEATED: Duration = Duration::from_secs(3);

/// The pair of a change, and its version.
type Change = (String, u64);

/// The unfinished changes that were seen.
#[derive(Default)]
pub struct Unfinished {
    /// Those of which no inbox had been told.
    after_first_step: BTreeSet<Change>,
    /// Those of which one of the two inboxes had been told.
    after_one_update: BTreeSet<Change>,
}

impl Unfinished {
    pub fn after_first_step(&self) -> usize {
        self.after_first_step.len()
    }

    pub fn after_one_update(&self) -> usize {
        self.after_one_update.len()
    }

    /// Searches all outboxes for changes that nobody finishes now.
    pub fn search(&mut self, redis: &mut DirectConnection) -> RedisResult<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let before = |age: Duration| (now.as_micros() - age.as_micros()).to_string();
        let (since, until) = (before(REPEATED), before(OLDEST_IN_PROGRESS));
        let outboxes: BTreeSet<String> = redis.keys("dm:{*}:outbox")?;
        for outbox in outboxes {
            let changes: Vec<Change> =
                redis.zrangebyscore_withscores(outbox, since.as_str(), until.as_str())?;
            for change in changes {
                self.note(redis, change)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, redis: &mut DirectConnection, change: Change) -> RedisResult<()> {
        let (one, other) = change.0.split_once(',').unwrap();
        let mut behind = 0;
        for (user, peer) in [(one, other), (other, one)] {
            let [_, conversations, _] = keys_of_user(user);
            let row: Option<String> = redis.hget(conversations, peer)?;
            let version = row.and_then(|row| row.split('|').next()?.parse::<u64>().ok());
            behind += usize::from(version.unwrap_or_default() < change.1);
        }
        match behind {
            0 => false,
            1 => self.after_one_update.insert(change),
            _ => self.after_first_step.insert(change),
        };
        Ok(())
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, one) = (self.after_first_step(), self.after_one_update());
        write!(
            f,
            "unfinished after the first step {first}, after one update {one}"
        )
    }
}
