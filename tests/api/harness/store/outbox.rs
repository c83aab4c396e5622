//! Changes in two steps, as on a cluster, where inboxes follow their conversations.

use std::time::Duration;

use redis::{Commands, ConnectionLike};

use crate::harness::store::lua::keys_of_user;
use crate::harness::{TestApp, eventually, keys};

/// How long an update of an inbox may take that failed at first.
const UPDATED: Duration = Duration::from_secs(20);

/// Whether the services of this run change conversations and inboxes in two steps.
pub fn is_in_two_steps() -> bool {
    let store = std::env::var("DUOLOGUE_TEST_STORE").unwrap_or_default();
    store == "two-step" || store == "cluster"
}

/// The version of a user's row of a conversation.
pub fn row_version(redis: &mut impl ConnectionLike, user: &str, peer: &str) -> Option<u64> {
    let [_, conversations, _] = keys_of_user(user);
    let row: Option<String> = redis.hget(conversations, peer).unwrap();
    row.map(|row| row.split('|').next().unwrap().parse().unwrap())
}

/// The number of pairs in all outboxes.
pub fn outbox_entries(redis: &mut impl ConnectionLike) -> u64 {
    let outboxes: Vec<String> = redis.keys("dm:{*}:outbox").unwrap();
    let counts = outboxes.iter().map(|outbox| redis.zcard::<_, u64>(outbox));
    counts.map(Result::unwrap).sum()
}

/// Waits until all updates of inboxes are made and confirmed.
pub async fn outboxes_become_empty(redis: &mut impl ConnectionLike) {
    let are_empty = async || outbox_entries(redis) == 0;
    eventually("the outboxes are empty", UPDATED, are_empty).await;
}

impl TestApp {
    /// Waits until the inboxes of both users have the version of their conversation.
    pub async fn inboxes_follow(&self, one: &str, other: &str) {
        let mut redis = self.redis();
        let [_, meta] = keys(one, other);
        eventually("the inboxes follow", UPDATED, async || {
            let state: Option<String> = redis.hget(&meta, "state").unwrap();
            let version = state.map(|state| state.split('|').nth(1).unwrap().parse().unwrap());
            let mut rows = [(one, other), (other, one)].into_iter();
            rows.all(|(user, peer)| {
                let row = row_version(&mut redis, user, peer);
                row.is_none() || row == version
            })
        })
        .await;
    }

    /// Waits until all updates of inboxes are made and confirmed.
    pub async fn outboxes_are_empty(&self) {
        outboxes_become_empty(&mut self.redis()).await;
    }
}
