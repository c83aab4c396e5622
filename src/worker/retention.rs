//! Drops expired messages, also from conversations in which nobody writes any more.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::scan::{ConversationScan, STEP_PAUSE};
use crate::error::Error;
use crate::store::{FoundConversation, Store};

/// Interval between two sweeps.
const PERIOD: Duration = Duration::from_secs(3600);
/// Delay of the first sweep, so that it does not compete with the start of the service.
const DELAY: Duration = Duration::from_secs(60);

/// Sweeps all conversations every hour. Several processes may do so at once.
pub(super) struct RetentionWorker {
    store: Store,
}

impl RetentionWorker {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Worker for RetentionWorker {
    const NAME: &'static str = "retention";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut pause = DELAY;
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            match sweep(&self.store, stop).await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(dropped, "retention: dropped expired messages"),
                Err(error) => tracing::warn!("retention: the sweep was interrupted: {error}"),
            }
            pause = PERIOD;
        }
    }
}

/// Drops the expired messages of all conversations and returns how many there were. Ends after the
/// step in progress if it is stopped.
pub async fn sweep(store: &Store, stop: &CancellationToken) -> Result<u64, Error> {
    let (mut dropped, mut scan) = (0, ConversationScan::begin(store).await?);
    while let Some(found) = scan.next(stop).await? {
        for conversation in found {
            dropped += match sweep_conversation(store, stop, &conversation).await {
                // The others do not need it.
                Err(error) if error.code.is_of_archive() => {
                    tracing::warn!("retention: a conversation was not swept: {error}");
                    0
                }
                dropped => dropped?,
            };
        }
    }
    Ok(dropped)
}

async fn sweep_conversation(
    store: &Store,
    stop: &CancellationToken,
    conversation: &FoundConversation,
) -> Result<u64, Error> {
    let mut dropped = 0;
    let mut more = true;
    while more && !stop.is_cancelled() {
        let step = match conversation {
            FoundConversation::Pair(first, second) => {
                store.trim_conversation(first, second).await?
            }
            FoundConversation::Room(room) => store.trim_room(room).await?,
        };
        dropped += step.dropped;
        more = step.more;
        stop.run_until_cancelled(sleep(STEP_PAUSE)).await;
    }
    Ok(dropped)
}
