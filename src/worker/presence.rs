//! Who is there, kept true in the store for the users who are connected to this process.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::Error;
use crate::model::UserId;
use crate::realtime::{Change, Hub};
use crate::store::{PARTITIONS, Store};

/// Seconds in which each user's presence is renewed once: a third of the lease of the store.
const ROUND_S: u64 = 13;
/// Partitions that are searched in a second for users of a process that died: all of them in 16 s.
const SEARCHED: u16 = 16;
/// For how long somebody whose last connection ended may come back without anybody being told.
const GRACE: Duration = Duration::from_secs(3);
/// Calls under way at once.
const CONCURRENCY: usize = 64;

/// One thing to be done in the store.
enum Task {
    /// A user is there, still or again.
    Renew(UserId),
    /// A user is not connected to this process any more.
    Leave(UserId),
    /// A process may have died that said users of this partition were there.
    Search(u16),
}

/// Keeps presence until it is dropped. What fails is tried again in the next round.
pub async fn keep(hub: &Hub, store: &Store, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut todo = VecDeque::new();
    let mut leaving = VecDeque::<(Instant, UserId)>::new();
    let mut under_way = FuturesUnordered::new();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ticks, mut search) = (0u64, 0);
    let mut waits: Option<oneshot::Sender<()>> = None;
    loop {
        while under_way.len() < CONCURRENCY
            && let Some(task) = todo.pop_front()
        {
            under_way.push(perform(hub, store, task));
        }
        if under_way.is_empty()
            && let Some(waiting) = waits.take()
        {
            // Whoever waited may have given up.
            let _ = waiting.send(());
        }
        tokio::select! {
            Some(change) = changes.recv() => match change {
                Change::Came(user) => todo.push_back(Task::Renew(user)),
                Change::Went(user) => leaving.push_back((Instant::now() + GRACE, user)),
                // Before anybody finds that they have lapsed.
                Change::Back => for user in hub.shown(|_| true) {
                    todo.push_front(Task::Renew(user));
                },
                Change::Stops(done) => {
                    todo.extend(leaving.drain(..).map(|(_, user)| Task::Leave(user)));
                    waits = Some(done);
                }
            },
            Some(done) = under_way.next() => {
                if let Err(error) = done {
                    tracing::debug!(%error, "presence was not kept");
                }
            }
            _ = second.tick(), if !hub.is_stopping() => {
                ticks += 1;
                let turn = ticks % ROUND_S;
                todo.extend(hub.shown(|user| hash(user) % ROUND_S == turn).into_iter().map(Task::Renew));
                todo.extend((search..search + SEARCHED).map(Task::Search));
                search = (search + SEARCHED) % PARTITIONS;
                while leaving.front().is_some_and(|(when, _)| *when <= Instant::now()) {
                    todo.extend(leaving.pop_front().map(|(_, user)| Task::Leave(user)));
                }
            }
        }
    }
}

async fn perform(hub: &Hub, store: &Store, task: Task) -> Result<(), Error> {
    match task {
        Task::Renew(user) => {
            let renewed = store.renew_presence(&user, &hub.process).await?;
            if !renewed.kept {
                // Somebody took it away by hand, or a failover did.
                store.open_stream(&user, None).await?;
                hub.gap(&user);
            }
            if renewed.came {
                let presence = store.read_presence(&user, None, None).await?;
                store.announce_presence(&presence.value).await?;
            }
        }
        // Whoever came back in the meantime never left.
        Task::Leave(user) if hub.is_shown(&user) => (),
        Task::Leave(user) => leave(store, &user, Some(&hub.process)).await?,
        Task::Search(partition) => {
            let lapsed = store.find_lapsed(usize::from(partition)).await?;
            for user in lapsed.into_iter().filter(|user| !hub.is_shown(user)) {
                leave(store, &user, None).await?;
            }
        }
    }
    Ok(())
}

async fn leave(store: &Store, user: &UserId, process: Option<&str>) -> Result<(), Error> {
    match store.leave_presence(user, process).await? {
        Some(presence) => store.announce_presence(&presence).await,
        None => Ok(()),
    }
}

/// Spreads users over a round.
fn hash(user: &UserId) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(user)
}
