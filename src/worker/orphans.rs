//! Finds objects of the archive that Redis does not know, which are deleted then.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::scan::ConversationScan;
use crate::error::Error;
use crate::store::{KnownObjects, Store};

/// Delay of the first search, and the interval between two.
const DELAY: Duration = Duration::from_secs(3600);
const PERIOD: Duration = Duration::from_secs(24 * 3600);
/// Younger objects may not count yet.
const MIN_AGE: TimeDelta = TimeDelta::days(1);
/// How many orphans there can be: this number, and one for so many objects that Redis knows. An archive with more
/// seems to belong to another Redis.
const EXPECTED: usize = 16;
const KNOWN_PER_ORPHAN: usize = 100;

/// Searches every day. Several processes may do so at once.
pub(super) struct OrphanWorker {
    store: Store,
}

impl OrphanWorker {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Worker for OrphanWorker {
    const NAME: &'static str = "orphans";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut pause = DELAY;
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            let found = note_orphans(&self.store, Utc::now() - MIN_AGE, stop).await;
            match found {
                Ok(0) => {}
                Ok(found) => tracing::info!(
                    found,
                    "archive: objects that no conversation has will be deleted"
                ),
                Err(error) => {
                    tracing::warn!("archive: the search for orphans was interrupted: {error}");
                }
            }
            pause = PERIOD;
        }
    }
}

/// Notes objects to be deleted that were written before a time and that Redis does not know. Returns their number.
/// None is noted if there are so many that the archive seems to belong to another Redis.
pub async fn note_orphans(
    store: &Store,
    before: DateTime<Utc>,
    stop: &CancellationToken,
) -> Result<u64, Error> {
    let known = known_objects(store, stop).await?;
    let expected = EXPECTED + known.len() / KNOWN_PER_ORPHAN;
    let listing = store.find_unknown_objects(&known, before, expected + 1);
    let Some(unknown) = stop.run_until_cancelled(listing).await else {
        return Ok(0);
    };
    let unknown = unknown?;
    if unknown.len() > expected || known.is_empty() && !unknown.is_empty() {
        let known = known.len();
        tracing::warn!(
            known,
            "archive: so many objects are not known to this Redis that none is deleted"
        );
        return Ok(0);
    }
    let mut noted = 0;
    for object in unknown {
        noted += u64::from(store.note_orphan(&object).await?);
    }
    Ok(noted)
}

async fn known_objects(store: &Store, stop: &CancellationToken) -> Result<KnownObjects, Error> {
    let mut scan = ConversationScan::begin(store).await?;
    let mut known = KnownObjects::default();
    store.add_garbage(&mut known).await?;
    while let Some(found) = scan.next(stop).await? {
        for conversation in found {
            store.add_segments(&conversation, &mut known).await?;
        }
    }
    Ok(known)
}
