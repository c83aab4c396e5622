//! Drops messages that are older than they may be, also where nobody writes any more.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::Error;
use crate::store::Store;

/// How often all conversations are looked at.
const PERIOD: Duration = Duration::from_secs(3600);
/// How long after the start the first sweep begins, so that it does not compete with starting up.
const DELAY: Duration = Duration::from_secs(60);
/// Pause between two conversations, so that requests go first.
const CONVERSATION_PAUSE: Duration = Duration::from_millis(5);

/// Sweeps all conversations periodically, for ever. Several processes may do so at once.
pub async fn sweep_periodically(store: Store) {
    sleep(DELAY).await;
    loop {
        match sweep(&store).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "retention: dropped expired messages"),
            Err(error) => tracing::warn!("retention: the sweep was interrupted: {error}"),
        }
        sleep(PERIOD).await;
    }
}

/// Sweeps all conversations once and returns how many messages were dropped.
pub async fn sweep(store: &Store) -> Result<u64, Error> {
    let (mut dropped, mut cursor) = (0, 0);
    loop {
        let (next, pairs) = store.scan_pairs(cursor).await?;
        for (first, second) in pairs {
            dropped += store.trim_conversation(&first, &second).await?;
            sleep(CONVERSATION_PAUSE).await;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(dropped);
        }
    }
}
