//! Files the events of rooms in the inboxes of their members, right after this process has changed the rooms.

use std::future::ready;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::store::{Filed, RoomFiling, Store};

/// Number of rooms that are filed at the same time.
const CONCURRENCY: usize = 32;

/// Files the rooms whose lease this process gets. What it leaves behind is found by the worker of the outbox.
pub(super) struct FilingWorker {
    store: Store,
    waiting: mpsc::Receiver<RoomFiling>,
}

impl FilingWorker {
    pub(super) fn new(store: Store, waiting: mpsc::Receiver<RoomFiling>) -> Self {
        Self { store, waiting }
    }
}

impl Worker for FilingWorker {
    const NAME: &'static str = "filing";

    async fn run(&mut self, stop: &CancellationToken) {
        let (store, waiting) = (&self.store, &mut self.waiting);
        stream::poll_fn(|context| waiting.poll_recv(context))
            .take_until(stop.cancelled())
            .map(|filing| file(store, filing))
            .buffer_unordered(CONCURRENCY)
            .for_each(ready)
            .await;
        while let Ok(filing) = waiting.try_recv() {
            file(store, filing).await;
        }
    }
}

/// Files some events of a room. If more are left, the room waits again.
async fn file(store: &Store, filing: RoomFiling) {
    let room = filing.room.clone();
    match store.continue_filing(filing).await {
        Ok(Filed::Done | Filed::Later | Filed::Deleted) => {}
        Err(error) => {
            tracing::debug!(%error, %room, "the events of a room could not be filed and will be later");
        }
    }
}
