//! The pub/sub connection of this process: passes events from Redis to the hub.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::realtime::Hub;
use crate::store::PubSubListener;

/// Passes published events to the hub.
pub(super) struct PubSubWorker {
    hub: Arc<Hub>,
    listener: PubSubListener,
}

impl PubSubWorker {
    pub(super) fn new(hub: Arc<Hub>, listener: PubSubListener) -> Self {
        Self { hub, listener }
    }
}

impl Worker for PubSubWorker {
    const NAME: &'static str = "pubsub";

    async fn run(&mut self, stop: &CancellationToken) {
        let hub = self.hub.clone();
        let listening = self.listener.run(move |message| hub.dispatch(message));
        // Events are in the journal too, so the connection may be dropped at any moment.
        stop.run_until_cancelled(listening).await;
    }
}
