//! The endpoint of one subscription: what is known of it, and one event sent to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, sleep};

use super::circuit::Circuit;
use super::client::{DeliveryFailure, DeliveryOutcome, WebhookClient};
use super::queues::{QueuedEvent, Settled};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::{RawDeadLetter, WebhookSecret};
use crate::store::{DeliveryVerdict, FailedAttempt, Store, StoredSubscription};

/// Pause before an outcome is noted again, because Redis did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// The longest wait between two attempts to send an event, in first waits: 320 s if the first is 5 s.
const LONGEST: u64 = 64;

/// The endpoint of the webhook of a subscription.
pub(super) struct Endpoint {
    pub(super) store: Store,
    pub(super) subscription: StoredSubscription,
    /// The name of this process.
    pub(super) process: String,
    client: WebhookClient,
    metrics: Arc<Metrics>,
    first_wait_ms: u64,
    clock: Clock,
    state: Mutex<EndpointState>,
}

struct EndpointState {
    circuit: Circuit,
    secrets: Vec<WebhookSecret>,
    /// When the endpoint took an event last.
    taken_at: Option<u64>,
    held_until: Instant,
}

/// Milliseconds since 1970 that never run backwards.
struct Clock {
    started: Instant,
    started_ms: u64,
}

impl Clock {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            started_ms: u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default(),
        }
    }

    fn now(&self) -> u64 {
        self.started_ms + millis(self.started.elapsed())
    }
}

/// A duration in milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What all endpoints share.
#[derive(Clone)]
pub(super) struct EndpointContext {
    pub(super) store: Store,
    pub(super) process: String,
    pub(super) client: WebhookClient,
    pub(super) metrics: Arc<Metrics>,
    pub(super) first_wait: Duration,
}

impl Endpoint {
    pub(super) fn new(
        context: &EndpointContext,
        subscription: StoredSubscription,
        circuit: &str,
    ) -> Self {
        let (first_wait_ms, clock) = (millis(context.first_wait), Clock::start());
        Self {
            store: context.store.clone(),
            subscription,
            process: context.process.clone(),
            client: context.client.clone(),
            metrics: context.metrics.clone(),
            first_wait_ms,
            state: Mutex::new(EndpointState {
                circuit: Circuit::restore(first_wait_ms, circuit, clock.now()),
                secrets: Vec::new(),
                taken_at: None,
                held_until: Instant::now(),
            }),
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, EndpointState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(super) fn circuit(&self) -> Circuit {
        self.state().circuit
    }

    pub(super) fn begin_probe(&self) {
        self.state().circuit.begin_probe();
    }

    /// This process may send until then, with these secrets.
    pub(super) fn hold(&self, held_until: Instant, secrets: Vec<WebhookSecret>) {
        let mut state = self.state();
        (state.held_until, state.secrets) = (held_until, secrets);
    }

    /// Whether this process may send.
    pub(super) fn is_held(&self) -> bool {
        Instant::now() < self.state().held_until
    }

    /// Sends an event and notes the outcome. `None` if the endpoint wants no further events.
    pub(super) async fn deliver(&self, sent: &QueuedEvent, is_probe: bool) -> Option<Settled> {
        let outcome = self.send(sent).await;
        let now = self.now();
        let failure = match outcome {
            DeliveryOutcome::Taken => {
                let mut state = self.state();
                state.circuit.succeed();
                state.taken_at = Some(now);
                None
            }
            DeliveryOutcome::Gone => {
                let stop = || self.store.stop_webhook(&self.subscription);
                self.persist(stop).await?;
                return None;
            }
            DeliveryOutcome::Failed(failure) => {
                let retry_after_ms = failure.retry_after.map(millis);
                let counts = self.state().circuit.fail(now, is_probe, retry_after_ms);
                if !counts {
                    return Some(Settled::Again);
                }
                Some(failure)
            }
        };
        let settled = if sent.is_dead_letter() {
            self.settle_dead_letter(sent, failure).await
        } else {
            self.settle(sent, failure, now).await
        };
        // What could not be noted is read from the store again.
        Some(settled.unwrap_or(Settled::Lost))
    }

    async fn send(&self, sent: &QueuedEvent) -> DeliveryOutcome {
        let Some(url) = &self.subscription.settings().url else {
            return DeliveryOutcome::Gone;
        };
        let secrets = self.state().secrets.clone();
        let (id, body) = (sent.event.id.to_string(), sent.event.to_json(Utc::now()));
        let started = Instant::now();
        let outcome = self.client.send(url, &id, body, &secrets).await;
        let name = self.subscription.name().as_str();
        let seconds = started.elapsed().as_secs_f64();
        self.metrics.webhook(name, outcome.name(), seconds);
        outcome
    }

    /// Acknowledges an event, or counts the failed attempt.
    async fn settle(
        &self,
        sent: &QueuedEvent,
        failure: Option<DeliveryFailure>,
        now: u64,
    ) -> Option<Settled> {
        let (number, taken_at) = (sent.event.attempt, self.state().taken_at);
        let failed = failure.map(|failure| FailedAttempt {
            number,
            status: failure.status,
            wait_ms: self.wait_ms(number),
            // Another event may have been taken since.
            taken_ms: taken_at.map(|taken_at| now.saturating_sub(taken_at)),
        });
        let waits = failed.map_or(Settled::Again, |failed| Settled::Waits {
            failed: number,
            until: now + failed.wait_ms,
        });
        match self.settle_delivery(sent, failed).await? {
            DeliveryVerdict::Done => Some(Settled::Done),
            DeliveryVerdict::Late => Some(Settled::Lost),
            DeliveryVerdict::Again => Some(waits),
            DeliveryVerdict::Dead => {
                let status = failure.and_then(|failure| failure.status);
                let kept = self.file_dead_letter(sent, status).await?;
                // There is no space for it: it waits.
                if !kept {
                    return Some(waits);
                }
                match self.settle_delivery(sent, None).await? {
                    DeliveryVerdict::Done => Some(Settled::Done),
                    _ => Some(Settled::Lost),
                }
            }
        }
    }

    async fn settle_delivery(
        &self,
        sent: &QueuedEvent,
        failed: Option<FailedAttempt>,
    ) -> Option<DeliveryVerdict> {
        let (subscription, process, id) = (&self.subscription, &self.process, sent.event.id);
        let settle = || {
            self.store
                .settle_delivery(subscription, process, id, failed)
        };
        self.persist(settle).await
    }

    async fn file_dead_letter(&self, sent: &QueuedEvent, status: Option<u16>) -> Option<bool> {
        let letter = RawDeadLetter {
            event: sent.event.clone(),
            status,
        };
        let file = || self.store.file_dead_letter(&self.subscription, &letter);
        self.persist(file).await
    }

    /// Removes a dead letter that was taken, or keeps it as the newest one.
    async fn settle_dead_letter(
        &self,
        sent: &QueuedEvent,
        failure: Option<DeliveryFailure>,
    ) -> Option<Settled> {
        let id = sent.event.id;
        let letter = failure.map(|failure| RawDeadLetter {
            event: sent.event.clone(),
            status: failure.status,
        });
        let (subscription, letter) = (&self.subscription, letter.as_ref());
        let settle = || self.store.settle_dead_letter(subscription, id, letter);
        self.persist(settle).await.map(|_| Settled::Done)
    }

    /// Repeats a call of the store until it succeeds. `None` if this process may no longer send.
    async fn persist<T, F>(&self, call: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            match call().await {
                Ok(done) => return Some(done),
                Err(error) => tracing::debug!(%error, "the outcome of a webhook was not noted"),
            }
            if !self.is_held() {
                return None;
            }
            sleep(RETRY_DELAY).await;
        }
    }

    /// How long to wait after an attempt: twice as long after each, and up to a fifth more or less, so that partitions
    /// that failed together do not stay together.
    fn wait_ms(&self, attempt: u64) -> u64 {
        let doubled = 1 << attempt.saturating_sub(1).min(LONGEST.ilog2().into());
        let random = u64::from(getrandom::u32().unwrap_or(u32::MAX / 2));
        self.first_wait_ms * doubled * (800 + random * 400 / u64::from(u32::MAX)) / 1000
    }
}
