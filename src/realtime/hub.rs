//! Who is connected to this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::queue::Queue;
use super::registry::{Change, Connection, ConnectionGuard};
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::UserId;
use crate::protocol::{CloseReason, Event, Notification};
use crate::store::{PubSub, PubSubMessage, Store};

/// Over how long the connections of a process that stops are closed, at most, so that their
/// clients do not all come back in the same moment.
const SPREAD: Duration = Duration::from_secs(3);
/// Connections that are closed in a millisecond, when there are few.
const CLOSED_A_MS: usize = 2;
/// How long a process that stops waits for its connections to end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long it then waits until the store knows who left.
const GOODBYE: Duration = Duration::from_secs(2);

/// How many connections there may be, and how often each gives a sign of life.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of one user.
    pub per_user: usize,
    /// Connections of this process.
    pub total: usize,
    /// Seconds between two heartbeats.
    pub heartbeat_s: u8,
}

/// Everybody who is connected to this process.
pub struct Hub {
    limits: Limits,
    pub(super) live: PubSub,
    pub(super) metrics: Arc<Metrics>,
    /// The name of this process among those that serve the same store.
    pub(crate) process: String,
    stopping: AtomicBool,
    pub(super) changes: mpsc::UnboundedSender<Change>,
    /// A `std::sync::Mutex`, because nobody waits while holding it.
    members: Mutex<Registry>,
}

#[derive(Default)]
pub(super) struct Registry {
    /// The connections of each user; of nobody who has none.
    pub(super) users: HashMap<UserId, Vec<Arc<Connection>>>,
    /// Connections now.
    pub(super) count: usize,
    /// Connections so far; gives each its turn in the heartbeat.
    ever: usize,
}

impl Registry {
    /// Whether a connection shows that the user is there.
    pub(super) fn count_as_online(&self, user: &UserId) -> bool {
        let of_user = self.users.get(user.as_str());
        of_user.is_some_and(|of_user| of_user.iter().any(|member| member.counts_as_online()))
    }
}

impl Hub {
    /// A hub; the changes of presence that it sees; and what keeps it going, to be run until the
    /// process ends.
    pub fn new(
        store: &Store,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> (
        Arc<Self>,
        mpsc::UnboundedReceiver<Change>,
        impl Future<Output = ()> + Send + use<>,
    ) {
        let (changes, made) = mpsc::unbounded_channel();
        let mut listening = None;
        let hub = Arc::new_cyclic(|hub: &std::sync::Weak<Self>| {
            let hub = hub.clone();
            let (live, listener) = store.live(move |heard| {
                if let Some(hub) = hub.upgrade() {
                    hub.dispatch(heard);
                }
            });
            listening = Some(listener);
            Self {
                limits,
                live,
                metrics,
                process: Uuid::now_v7().to_string(),
                stopping: AtomicBool::new(false),
                changes,
                members: Mutex::default(),
            }
        });
        let kept = hub.clone();
        let going = async move {
            let listening = async {
                if let Some(listener) = listening {
                    listener.await;
                }
            };
            tokio::join!(listening, kept.heartbeat());
        };
        (hub, made, going)
    }

    /// Gives a connection of a user a place. What happens after this returned is in its queue.
    pub async fn join(self: &Arc<Self>, user: &UserId) -> Result<ConnectionGuard, Error> {
        let seat = self.register(user)?;
        self.live.listen(user).await?;
        Ok(seat)
    }

    fn register(self: &Arc<Self>, user: &UserId) -> Result<ConnectionGuard, Error> {
        let mut members = self.lock();
        if self.is_stopping() || members.count >= self.limits.total {
            return Err(Code::Busy.into());
        }
        let turn = members.ever;
        let of_user = members.users.entry(user.clone()).or_default();
        if of_user.len() >= self.limits.per_user {
            return Err(Code::TooManyConnections.into());
        }
        let member = Arc::new(Connection {
            queue: Queue::default(),
            shows: AtomicBool::new(false),
            turn: turn % usize::from(self.limits.heartbeat_s),
            until: AtomicI64::new(i64::MAX),
        });
        of_user.push(member.clone());
        (members.count, members.ever) = (members.count + 1, turn.wrapping_add(1));
        self.metrics.live_connections.inc();
        Ok(ConnectionGuard {
            hub: self.clone(),
            user: user.clone(),
            member,
        })
    }

    /// Seconds between two heartbeats.
    pub fn heartbeat_s(&self) -> u8 {
        self.limits.heartbeat_s
    }

    /// Whether the process is about to end, and takes no connections any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Passes on what was heard.
    fn dispatch(&self, heard: PubSubMessage) {
        match heard {
            PubSubMessage::Event { user, text } => {
                let members = self.lock();
                let Some(of_user) = members.users.get(user.as_str()) else {
                    return;
                };
                match Event::parse(text) {
                    Ok(event) => {
                        let event = Arc::new(event);
                        for member in of_user {
                            member.queue.push(Notification::Event(event.clone()));
                        }
                        self.metrics.events_delivered.inc_by(of_user.len() as u64);
                    }
                    Err(error) => tracing::error!(%error, "what was published is no event"),
                }
            }
            PubSubMessage::Gap => {
                self.each(|member| member.queue.push(Notification::Gap));
                let _ = self.changes.send(Change::Back);
            }
        }
    }

    /// Tells the connections of a user that anything may have been missed.
    pub(crate) fn gap(&self, user: &UserId) {
        for member in self.lock().users.get(user.as_str()).into_iter().flatten() {
            member.queue.push(Notification::Gap);
        }
    }

    fn each(&self, tell: impl Fn(&Connection)) {
        for member in self.lock().users.values().flatten() {
            tell(member);
        }
    }

    /// Gives every connection its heartbeat in its turn, and when its token ends. One timer for all.
    async fn heartbeat(&self) {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in (0..usize::from(self.limits.heartbeat_s)).cycle() {
            second.tick().await;
            let now = Utc::now().timestamp();
            self.each(|member| {
                if member.turn == turn || member.until.load(Ordering::Relaxed) <= now {
                    member.queue.push(Notification::Heartbeat);
                }
            });
        }
    }

    /// Users who are shown to be there by a connection to this process, of those that `which` picks.
    pub(crate) fn shown(&self, which: impl Fn(&UserId) -> bool) -> Vec<UserId> {
        let members = self.lock();
        let users = members.users.keys();
        let shown = users.filter(|user| which(user) && members.count_as_online(user));
        shown.cloned().collect()
    }

    /// Whether a connection to this process shows that the user is there.
    pub(crate) fn is_shown(&self, user: &UserId) -> bool {
        self.lock().count_as_online(user)
    }

    /// Takes no more connections and asks those there are to leave, a few at a time; waits for
    /// them, but not for ever.
    pub async fn close(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let everybody: Vec<_> = self.lock().users.values().flatten().cloned().collect();
        let millis = (everybody.len() / CLOSED_A_MS)
            .min(SPREAD.as_millis() as usize)
            .max(1);
        for some in everybody.chunks(everybody.len().div_ceil(millis).max(1)) {
            for member in some {
                member.queue.push(Notification::Leave(CloseReason::Restart));
            }
            sleep(Duration::from_millis(1)).await;
        }
        drop(everybody);
        let deadline = Instant::now() + DRAIN;
        while self.lock().count > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        let (done, said) = oneshot::channel();
        let _ = self.changes.send(Change::Stops(done));
        // Who is still there then is found to have left by another process, later.
        let _ = timeout(GOODBYE, said).await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Registry> {
        // Nothing that can panic happens under the lock.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
