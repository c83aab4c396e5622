//! Keeps the store's record of who is online in step with the connections of this process.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Worker, every};
use crate::error::Error;
use crate::model::UserId;
use crate::realtime::{PresenceChange, Registry};
use crate::store::{PARTITIONS, Store};

/// Seconds in which every user's presence is renewed once: a third of the time it lasts.
const RENEWAL_S: u64 = 13;
/// Partitions searched for expired presences per second: all of them in 16 s.
const PARTITIONS_PER_S: u16 = 16;
/// A user whose last connection ended may reconnect within this time without any announcement.
const GRACE: Duration = Duration::from_secs(3);
/// Store operations in progress at once.
const CONCURRENCY: usize = 64;

/// One operation on the store.
#[derive(Debug, PartialEq, Eq)]
pub enum PresenceTask {
    /// Record that a user is online.
    Renew(UserId),
    /// Record that a user is no longer connected to this process.
    Remove(UserId),
    /// Remove the expired presences of a partition, which a process that died left behind.
    Expire(u16),
}

/// Updates the store when users connect to this process or leave it.
pub(super) struct PresenceWorker {
    steps: PresenceSteps,
    schedule: Schedule,
    changes: mpsc::UnboundedReceiver<PresenceChange>,
}

impl PresenceWorker {
    pub(super) fn new(
        store: Store,
        registry: Arc<Registry>,
        changes: mpsc::UnboundedReceiver<PresenceChange>,
    ) -> Self {
        Self {
            steps: PresenceSteps::new(store, registry),
            schedule: Schedule::default(),
            changes,
        }
    }
}

impl Worker for PresenceWorker {
    const NAME: &'static str = "presence";

    /// Failed steps are retried in the next round of renewals, or by the search for expired
    /// presences.
    async fn run(&mut self, stop: &CancellationToken) {
        let (schedule, steps) = (&mut self.schedule, &self.steps);
        let mut in_progress = FuturesUnordered::new();
        let mut second = every(Duration::from_secs(1));
        let mut stopping = false;
        loop {
            while in_progress.len() < CONCURRENCY
                && let Some(task) = schedule.next()
            {
                in_progress.push(steps.perform(task));
            }
            if stopping && in_progress.is_empty() {
                return;
            }
            tokio::select! {
                Some(change) = self.changes.recv(), if !stopping => {
                    schedule.apply(change, &steps.registry, Instant::now());
                }
                Some(result) = in_progress.next() => if let Err(error) = result {
                    tracing::debug!(%error, "a presence was not updated");
                },
                _ = second.tick(), if !stopping => {
                    schedule.tick(&steps.registry, Instant::now());
                }
                () = stop.cancelled(), if !stopping => {
                    while let Ok(change) = self.changes.try_recv() {
                        schedule.apply(change, &steps.registry, Instant::now());
                    }
                    schedule.finish();
                    stopping = true;
                }
            }
        }
    }
}

/// What to do next, and when.
#[derive(Default)]
struct Schedule {
    due: VecDeque<PresenceTask>,
    /// Users whose last connection ended, with the end of their grace period, earliest first. Includes
    /// users who came back.
    leaving: VecDeque<(Instant, UserId)>,
    /// Users who have no connection now, with the end of the grace period of this absence.
    absent: HashMap<UserId, Instant>,
    ticks: u64,
    next_partition: u16,
}

impl Schedule {
    fn apply(&mut self, change: PresenceChange, registry: &Registry, now: Instant) {
        match change {
            PresenceChange::Online(user) => {
                self.absent.remove(&user);
                self.due.push_back(PresenceTask::Renew(user));
            }
            PresenceChange::Offline(user) => {
                self.absent.insert(user.clone(), now + GRACE);
                self.leaving.push_back((now + GRACE, user));
            }
            // At the front, before another process finds that these presences have expired.
            PresenceChange::RenewAll => {
                for user in registry.online_users(|_| true) {
                    self.due.push_front(PresenceTask::Renew(user));
                }
            }
        }
    }

    /// Once a second: this second's share of the renewals and of the partitions, and the users
    /// whose grace period has ended.
    fn tick(&mut self, registry: &Registry, now: Instant) {
        self.ticks += 1;
        let share = self.ticks % RENEWAL_S;
        let renewed = registry.online_users(|user| hash(user) % RENEWAL_S == share);
        self.due
            .extend(renewed.into_iter().map(PresenceTask::Renew));
        let first = self.next_partition;
        let partitions = first..first + PARTITIONS_PER_S;
        self.due.extend(partitions.map(PresenceTask::Expire));
        self.next_partition = (first + PARTITIONS_PER_S) % PARTITIONS;
        while self.leaving.front().is_some_and(|(end, _)| *end <= now) {
            self.remove_next_leaving();
        }
    }

    /// Leaves only removals to do, without a grace period.
    fn finish(&mut self) {
        self.due
            .retain(|task| matches!(task, PresenceTask::Remove(_)));
        while !self.leaving.is_empty() {
            self.remove_next_leaving();
        }
    }

    fn remove_next_leaving(&mut self) {
        let Some((end, user)) = self.leaving.pop_front() else {
            return;
        };
        if self.absent.get(&user) == Some(&end) {
            self.absent.remove(&user);
            self.due.push_back(PresenceTask::Remove(user));
        }
    }

    fn next(&mut self) -> Option<PresenceTask> {
        self.due.pop_front()
    }
}

/// The store operations of one process.
pub struct PresenceSteps {
    store: Store,
    registry: Arc<Registry>,
    /// Distinguishes the processes that serve the same store.
    process: String,
}

impl PresenceSteps {
    /// Steps under a fresh process name.
    pub fn new(store: Store, registry: Arc<Registry>) -> Self {
        Self {
            store,
            registry,
            process: Uuid::now_v7().to_string(),
        }
    }

    pub async fn perform(&self, task: PresenceTask) -> Result<(), Error> {
        match task {
            PresenceTask::Renew(user) => self.renew(&user).await,
            // A user who reconnected in the meantime stays online.
            PresenceTask::Remove(user) if self.registry.is_online(&user) => Ok(()),
            PresenceTask::Remove(user) => self.remove(&user, Some(&self.process)).await,
            PresenceTask::Expire(partition) => self.expire(partition).await,
        }
    }

    async fn renew(&self, user: &UserId) -> Result<(), Error> {
        let Self {
            store, registry, ..
        } = self;
        let renewed = store.renew_presence(user, &self.process).await?;
        if !renewed.has_journal {
            // The journal was deleted by hand or lost in a failover.
            store.open_stream(user, None).await?;
            registry.notify_gap(user);
        }
        if renewed.came_online {
            let presence = store.read_presence(user, None, None).await?;
            store.announce_presence(&presence.value).await?;
        }
        Ok(())
    }

    async fn expire(&self, partition: u16) -> Result<(), Error> {
        let expired = self
            .store
            .find_expired_presences(usize::from(partition))
            .await?;
        for user in expired {
            if !self.registry.is_online(&user) {
                self.remove(&user, None).await?;
            }
        }
        Ok(())
    }

    /// Without a process only expired entries are removed.
    async fn remove(&self, user: &UserId, process: Option<&str>) -> Result<(), Error> {
        match self.store.leave_presence(user, process).await? {
            Some(presence) => self.store.announce_presence(&presence).await,
            None => Ok(()),
        }
    }
}

/// Spreads users over the seconds of a round.
fn hash(user: &UserId) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(user)
}
