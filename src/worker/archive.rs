//! Moves older messages from Redis to the archive, and deletes objects that no longer count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::scan::{ConversationScan, STEP_PAUSE};
use super::{Worker, every};
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::store::{PARTITIONS, Store};

/// Interval between two steps.
const PERIOD: Duration = Duration::from_secs(1);
/// Number of conversations of which messages move at the same time.
const CONCURRENCY: usize = 8;
/// How long the messages of one conversation move before others have their turn. Shorter than the lease of a claim.
const TURN: Duration = Duration::from_secs(3);
/// Number of partitions whose objects one step looks through: all of them in half a minute.
const SEARCHED: u16 = 8;
/// Pause after a failure, which doubles with each further one up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Delay of the search for conversations that are long since before there was an archive, so that it does not compete
/// with the start of the service.
const SEARCH_DELAY: Duration = Duration::from_secs(60);

/// Works on all partitions. Several processes may do so at once.
pub(super) struct ArchiveWorker {
    store: Store,
    metrics: Arc<Metrics>,
    /// The next partition whose objects are looked through.
    next: u16,
    /// The pause after the last step, if it failed.
    pause: Option<Duration>,
}

impl ArchiveWorker {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            next: 0,
            pause: None,
        }
    }

    async fn step(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        self.store.note_long_conversations().await?;
        let overdue = self.store.count_long_conversations().await?;
        self.metrics
            .archive
            .overdue
            .set(i64::try_from(overdue).unwrap_or(i64::MAX));
        if overdue > 0 {
            move_due(&self.store, stop).await?;
        }
        let first = self.next;
        self.next = (first + SEARCHED) % PARTITIONS;
        for partition in first..first + SEARCHED {
            self.store.delete_garbage(partition).await?;
        }
        Ok(())
    }

    async fn steps(&mut self, stop: &CancellationToken) {
        let mut ticks = every(PERIOD);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.pause = match (self.step(stop).await, self.pause) {
                (Ok(()), _) => None,
                (Err(error), before) => {
                    tracing::debug!(%error, "messages could not be archived and will be later");
                    Some(before.map_or(FIRST_PAUSE, |pause| LONGEST_PAUSE.min(2 * pause)))
                }
            };
            if let Some(pause) = self.pause {
                stop.run_until_cancelled(sleep(pause)).await;
            }
        }
    }
}

impl Worker for ArchiveWorker {
    const NAME: &'static str = "archive";

    async fn run(&mut self, stop: &CancellationToken) {
        let store = self.store.clone();
        let search = async {
            if stop
                .run_until_cancelled(sleep(SEARCH_DELAY))
                .await
                .is_some()
                && let Err(error) = find_long(&store, stop).await
            {
                tracing::warn!(
                    "archive: the search for long conversations was interrupted: {error}"
                );
            }
        };
        tokio::join!(search, self.steps(stop));
    }
}

/// Moves messages of all conversations that are noted as long. Ends after the step in progress if it is stopped.
pub async fn move_due(store: &Store, stop: &CancellationToken) -> Result<(), Error> {
    for group in Store::partition_groups() {
        loop {
            let names = store.claim_long_conversations(group.clone()).await?;
            if names.is_empty() || stop.is_cancelled() {
                break;
            }
            let moves = names.into_iter().map(|name| move_some(store, name, stop));
            let mut moves = stream::iter(moves).buffer_unordered(CONCURRENCY);
            while let Some((name, moved)) = moves.next().await {
                match moved {
                    // Nor will the others move.
                    Err(error) if error.code == Code::ArchiveUnavailable => return Err(error),
                    Err(error) => {
                        tracing::warn!(%error, name, "messages of a conversation were not archived");
                    }
                    Ok(()) => {}
                }
            }
        }
    }
    Ok(())
}

/// Moves messages of a conversation until none are to move or its turn ends. Returns its name and the outcome.
async fn move_some(
    store: &Store,
    name: String,
    stop: &CancellationToken,
) -> (String, Result<(), Error>) {
    let begun = Instant::now();
    while begun.elapsed() < TURN && !stop.is_cancelled() {
        match store.move_to_archive(&name).await {
            Ok(0) => break,
            Ok(_) => {
                stop.run_until_cancelled(sleep(STEP_PAUSE)).await;
            }
            Err(error) => return (name, Err(error)),
        }
    }
    (name, Ok(()))
}

/// Notes all conversations that are long, also if nobody writes in them any more.
pub async fn find_long(store: &Store, stop: &CancellationToken) -> Result<(), Error> {
    let mut scan = ConversationScan::begin(store).await?;
    while let Some(found) = scan.next(stop).await? {
        for conversation in found {
            store.note_long_conversation(&conversation.name()).await?;
        }
    }
    Ok(())
}
