//! Keeps the key set of user tokens up to date.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::auth::Jwks;

/// Interval between two reads of the source.
const PERIOD: Duration = Duration::from_secs(60);
/// Shortest interval, when tokens name keys that the set does not contain.
const MIN_PERIOD: Duration = Duration::from_secs(1);

/// Reads the key set again, periodically and when a token names an unknown key.
pub(super) struct KeySetWorker(pub(super) Arc<Jwks>);

impl KeySetWorker {
    async fn refresh_when_due(&self) {
        sleep(MIN_PERIOD).await;
        // Ends with the period or with an unknown key; both are reasons to refresh.
        let _ = timeout(PERIOD, self.0.unknown_key()).await;
        if let Err(error) = self.0.refresh().await {
            let source = self.0.source();
            tracing::warn!("{error}; the previous keys stay in use ({source})");
        }
    }
}

impl Worker for KeySetWorker {
    const NAME: &'static str = "key_set";

    async fn run(&mut self, stop: &CancellationToken) {
        // A read changes nothing before it has succeeded, so it may be abandoned.
        while stop
            .run_until_cancelled(self.refresh_when_due())
            .await
            .is_some()
        {}
    }
}
