//! The heartbeat of live connections: one timer for all of them.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{Worker, every};
use crate::realtime::Hub;

/// Calls [`Hub::heartbeat`] every second.
pub(super) struct HeartbeatWorker {
    hub: Arc<Hub>,
    tick: usize,
}

impl HeartbeatWorker {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, tick: 0 }
    }
}

impl Worker for HeartbeatWorker {
    const NAME: &'static str = "heartbeat";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut second = every(Duration::from_secs(1));
        while stop.run_until_cancelled(second.tick()).await.is_some() {
            self.hub.heartbeat(self.tick, Utc::now().timestamp());
            self.tick = self.tick.wrapping_add(1);
        }
    }
}
