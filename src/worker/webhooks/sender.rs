//! Sends the events of one subscription to its webhook while this process has the lease.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::every;
use super::circuit::Permission;
use super::endpoint::{Endpoint, millis};
use super::queues::{EventQueues, QueuedEvent, Settled};
use crate::error::Error;
use crate::realtime::Hub;
use crate::store::WebhookLease;

/// How long a process may send without renewing its lease.
const LEASE: Duration = Duration::from_secs(10);
/// Part of the lease in which nothing is sent any more.
const MARGIN: Duration = Duration::from_secs(1);
/// Interval of the renewals, within which a change of the subscription takes effect.
const RENEWAL: Duration = Duration::from_secs(1);
/// Requests at a time.
const CONCURRENCY: usize = 16;
/// Events that are read at a time.
const READ: usize = 256;
/// Events that are not read while there are so many.
const ENOUGH: usize = 128;
/// Shortest time between two looks for events, unless one finds as many as it reads, so that events cause few looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time without a look.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a sender that ends waits for the requests in progress.
const DRAIN: Duration = Duration::from_secs(2);

/// An event that was sent, and what became of it; `None` if the endpoint wants no further events.
type Delivered = (QueuedEvent, Option<Settled>);

/// Sends the events of a subscription.
pub(super) struct Sender {
    endpoint: Arc<Endpoint>,
    partitions: BTreeSet<u16>,
    queues: EventQueues,
    deliveries: JoinSet<Delivered>,
    /// When the events were looked for last.
    looked_at: Option<Instant>,
    /// Whether there may be further events.
    may_have_more: bool,
    /// Whether the last look found as many events as it reads.
    found_many: bool,
    has_retries: bool,
}

/// The length of the lease, for a process that asks for it at this moment.
pub(super) fn lease() -> (u32, Instant) {
    let lease_ms = u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX);
    (lease_ms, Instant::now() + LEASE - MARGIN)
}

impl Sender {
    /// A sender for an endpoint whose lease this process has until then.
    pub(super) fn new(endpoint: Endpoint, lease: WebhookLease, held_until: Instant) -> Self {
        endpoint.hold(held_until, lease.secrets);
        Self {
            partitions: endpoint
                .store
                .partitions_of(endpoint.subscription.settings()),
            endpoint: Arc::new(endpoint),
            queues: EventQueues::default(),
            deliveries: JoinSet::new(),
            looked_at: None,
            may_have_more: true,
            found_many: false,
            has_retries: lease.has_retries,
        }
    }

    /// Sends until it is stopped, the lease is lost, or the subscription is changed.
    pub(super) async fn run(mut self, hub: Arc<Hub>, stop: CancellationToken) {
        if let Err(error) = self.send(&hub, &stop).await {
            tracing::debug!(%error, "webhooks are not sent and will be retried");
        }
        // What is not done by then is sent again, perhaps by another process.
        let _ = timeout(DRAIN, async {
            while self.deliveries.join_next().await.is_some() {}
        })
        .await;
        self.deliveries.shutdown().await;
        let _ = self.renew(0).await;
    }

    async fn send(&mut self, hub: &Hub, stop: &CancellationToken) -> Result<(), Error> {
        let endpoint = self.endpoint.clone();
        let failed = endpoint.store.read_attempts(&endpoint.subscription).await?;
        self.queues.note_failed(failed, endpoint.now());
        let waiter = hub.feed().join().await?;
        let mut renewals = every(RENEWAL);
        let mut appended = pin!(waiter.appended());
        appended.as_mut().enable();
        loop {
            if self.is_time_to_look() {
                self.look().await?;
            }
            self.send_next();
            let wakes_at = self.wakes_in();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = appended.as_mut() => {
                    self.may_have_more = true;
                    appended.set(waiter.appended());
                    appended.as_mut().enable();
                }
                _ = renewals.tick() => {
                    if !self.renew_lease().await {
                        return Ok(());
                    }
                }
                Some(delivered) = self.deliveries.join_next() => {
                    // A panic ends the process's part: the lease ends and the events are sent again.
                    let Ok((sent, Some(settled))) = delivered else { return Ok(()) };
                    self.queues.settle(&sent, settled);
                }
                () = sleep(wakes_at) => {}
            }
        }
    }

    /// Renews the lease. Returns `false` if this process may no longer send.
    async fn renew_lease(&mut self) -> bool {
        let (lease_ms, held_until) = lease();
        match self.renew(lease_ms).await {
            Ok(Some(lease)) => {
                self.has_retries = lease.has_retries;
                self.endpoint.hold(held_until, lease.secrets);
                true
            }
            Ok(None) => false,
            Err(_) => self.endpoint.is_held(),
        }
    }

    async fn renew(&self, lease_ms: u32) -> Result<Option<WebhookLease>, Error> {
        let Endpoint {
            store,
            subscription,
            process,
            ..
        } = &*self.endpoint;
        let circuit = self.endpoint.circuit().to_text();
        let lease = store.lease_webhook(subscription, process, lease_ms, &circuit);
        lease.await
    }

    fn is_time_to_look(&self) -> bool {
        let Some(looked_at) = self.looked_at else {
            return true;
        };
        let has_space = self.queues.len(self.endpoint.now()) < ENOUGH;
        let since = looked_at.elapsed();
        let is_due = self.found_many || self.may_have_more && since >= PAUSE;
        has_space && (is_due || since >= LOOK_INTERVAL)
    }

    /// Reads further events of the partitions of which none are here.
    async fn look(&mut self) -> Result<(), Error> {
        self.looked_at = Some(Instant::now());
        let Endpoint {
            store,
            subscription,
            process,
            ..
        } = &*self.endpoint;
        if self.has_retries && self.queues.is_without_dead_letters() {
            let letters = store.take_dead_letters(subscription).await?;
            self.queues.add_dead_letters(letters);
        }
        let partitions = self.queues.empty_of(&self.partitions);
        let events = store.take_for_webhook(subscription, process, &partitions, READ);
        let events = events.await?;
        self.may_have_more = !events.is_empty();
        self.found_many = events.len() >= READ;
        self.queues.add(events);
        Ok(())
    }

    fn permission(&self) -> Permission {
        self.endpoint.circuit().permission(self.endpoint.now())
    }

    /// Sends as much as is permitted.
    fn send_next(&mut self) {
        while self.deliveries.len() < CONCURRENCY && self.endpoint.is_held() {
            let is_probe = match self.permission() {
                Permission::Everything => false,
                Permission::Probe => true,
                Permission::Nothing | Permission::NothingUntil(_) => return,
            };
            let Some(next) = self.queues.next(self.endpoint.now(), is_probe) else {
                return;
            };
            if is_probe {
                self.endpoint.begin_probe();
            }
            let endpoint = self.endpoint.clone();
            self.deliveries.spawn(async move {
                let settled = endpoint.deliver(&next, is_probe).await;
                (next, settled)
            });
        }
    }

    /// How long there is nothing to do, if nothing happens.
    fn wakes_in(&self) -> Duration {
        let now = self.endpoint.now();
        let probe_at = match self.permission() {
            Permission::NothingUntil(time) => Some(time),
            _ => None,
        };
        let look_at = if self.may_have_more {
            PAUSE
        } else {
            LOOK_INTERVAL
        };
        let times = [probe_at, self.queues.wakes_at(now)].into_iter().flatten();
        let wait_ms = times.map(|time| time.saturating_sub(now));
        Duration::from_millis(wait_ms.min().unwrap_or(u64::MAX).min(millis(look_at)))
    }
}
