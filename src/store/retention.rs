//! Dropping what is older than it may be, also where nobody writes any more.

use std::time::Duration;

use redis::RedisError;
use tokio::time::{sleep, timeout};

use super::change::Act;
use super::script::TRIM_CONVERSATION;
use super::{Store, lane};
use crate::error::{Code, Error};
use crate::model::{Pair, UserId};

/// How often all conversations are looked at.
const PERIOD: Duration = Duration::from_secs(3600);
/// How soon after the start for the first time: a service that starts has better things to do.
const DELAY: Duration = Duration::from_secs(60);
/// Between two steps, so that messages go first.
const PAUSE: Duration = Duration::from_millis(5);
/// Messages that one call drops, at most.
const STEP: u64 = 200;

impl Store {
    /// Looks at all conversations again and again, for ever. Several processes may do so at once.
    pub async fn sweep(self) {
        sleep(DELAY).await;
        loop {
            match self.sweep_once().await {
                Ok(0) => {}
                Ok(dropped) => {
                    tracing::info!(dropped, "messages were dropped that are kept no longer");
                }
                Err(error) => tracing::warn!("dropping old messages broke off: {error}"),
            }
            sleep(PERIOD).await;
        }
    }

    /// Looks at all conversations once; answers how many messages were dropped.
    pub async fn sweep_once(&self) -> Result<u64, Error> {
        let (mut dropped, mut cursor) = (0, 0);
        loop {
            let (next, keys) = self.scan_keys(cursor).await?;
            for key in keys {
                // dm:{tag}:messages:<first>:<second>
                let pair = key.splitn(4, ':').nth(3).and_then(Pair::parse);
                if let Some((first, second)) = pair {
                    dropped += self.trim_conversation(&first, &second).await?;
                }
                sleep(PAUSE).await;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(dropped);
            }
        }
    }

    /// Drops what is older than it may be from one conversation.
    pub async fn trim_conversation(&self, first: &UserId, second: &UserId) -> Result<u64, Error> {
        let act = Act {
            user: first,
            peer: second,
            charge: None,
        };
        let (keep, since) = (self.retention.messages.to_string(), self.retention.since());
        let step = STEP.to_string();
        let mut dropped = 0;
        loop {
            let args = [keep.as_str(), &since, &step];
            let some = self
                .change::<u64>(&TRIM_CONVERSATION, act, None, &args)
                .await?
                .value;
            dropped += some;
            if some < STEP {
                return Ok(dropped);
            }
        }
    }

    /// A step through the keys of all conversations.
    async fn scan_keys(&self, cursor: u64) -> Result<(u64, Vec<String>), Error> {
        let unavailable = |why: String| Error::new(Code::Unavailable, why);
        let scan = async {
            let mut connection = self
                .pool
                .get()
                .await
                .map_err(|e| unavailable(e.to_string()))?;
            let mut command = redis::cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg("dm:*:messages:*")
                .arg("COUNT")
                .arg(500);
            let step = command.query_async(&mut connection).await;
            step.map_err(|e: RedisError| unavailable(e.to_string()))
        };
        timeout(lane::PATIENCE, scan)
            .await
            .unwrap_or_else(|_| Err(Code::Unavailable.into()))
    }
}
