//! Sends the events of subscriptions to their webhooks.
//!
//! One process at a time sends the events of a subscription: the one that has its lease.

pub mod circuit;
mod client;
mod endpoint;
mod queues;
mod sender;
pub mod signature;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use self::client::WebhookClient;
use self::endpoint::{Endpoint, EndpointContext};
use self::sender::Sender;
use super::{Worker, every};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::{SubscriptionName, WebhookNetworks, fresh_id};
use crate::realtime::Hub;
use crate::store::{Store, StoredSubscription};

/// Interval between two looks for subscriptions whose events nobody sends.
const PERIOD: Duration = Duration::from_secs(1);

/// How webhooks are sent.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where they may be sent.
    pub networks: WebhookNetworks,
    /// The wait after the first failure, from which all others are derived.
    pub first_wait: Duration,
    /// Limit of a request.
    pub timeout: Duration,
}

/// Starts a sender for each subscription with a webhook that no other process has.
pub(super) struct WebhookWorker {
    context: EndpointContext,
    hub: Arc<Hub>,
    /// The subscriptions whose events were sent, for the metrics.
    known: BTreeSet<SubscriptionName>,
}

impl WebhookWorker {
    pub(super) fn new(
        store: Store,
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
        settings: WebhookSettings,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            context: EndpointContext {
                store,
                process: fresh_id(Utc::now()).simple().to_string(),
                client: WebhookClient::new(settings.networks, settings.timeout)?,
                metrics,
                first_wait: settings.first_wait,
            },
            hub,
            known: BTreeSet::new(),
        })
    }

    /// Begins to send the events of subscriptions whose lease this process gets.
    async fn pass(&mut self, senders: &mut Senders, stop: &CancellationToken) -> Result<(), Error> {
        let subscriptions = self.context.store.read_subscriptions().await?;
        self.forget_deleted(&subscriptions);
        for stored in subscriptions {
            if !stored.is_sent() || senders.has(stored.name()) {
                continue;
            }
            if let Some(sender) = self.lease(&stored).await? {
                self.known.insert(stored.name().clone());
                let sending = sender.run(self.hub.clone(), stop.clone());
                senders.start(stored.name().clone(), sending);
            }
        }
        Ok(())
    }

    async fn lease(&self, stored: &StoredSubscription) -> Result<Option<Sender>, Error> {
        let EndpointContext { store, process, .. } = &self.context;
        let (lease_ms, held_until) = sender::lease();
        let lease = store.lease_webhook(stored, process, lease_ms, "").await?;
        Ok(lease.map(|lease| {
            let endpoint = Endpoint::new(&self.context, stored.clone(), &lease.circuit);
            Sender::new(endpoint, lease, held_until)
        }))
    }

    /// Removes the metrics of subscriptions that were deleted.
    fn forget_deleted(&mut self, subscriptions: &[StoredSubscription]) {
        let metrics = &self.context.metrics;
        self.known.retain(|name| {
            let exists = subscriptions.iter().any(|stored| stored.name() == name);
            if !exists {
                metrics.forget_webhook(name.as_str());
            }
            exists
        });
    }
}

impl Worker for WebhookWorker {
    const NAME: &'static str = "webhooks";

    async fn run(&mut self, stop: &CancellationToken) {
        let mut senders = Senders::default();
        let mut ticks = every(PERIOD);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = senders.ended() => {}
                _ = ticks.tick() => {
                    if let Err(error) = self.pass(&mut senders, stop).await {
                        tracing::debug!(%error, "the subscriptions could not be read");
                    }
                }
            }
        }
        while !senders.running.is_empty() {
            senders.ended().await;
        }
    }
}

/// The senders of this process.
#[derive(Default)]
struct Senders {
    tasks: JoinSet<()>,
    running: HashMap<Id, SubscriptionName>,
}

impl Senders {
    fn has(&self, name: &SubscriptionName) -> bool {
        self.running.values().any(|running| running == name)
    }

    fn start(
        &mut self,
        name: SubscriptionName,
        sending: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(sending);
        self.running.insert(task.id(), name);
    }

    /// Waits until one of them ends; without any, for ever.
    async fn ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(panicked)) => panicked.id(),
            None => return std::future::pending().await,
        };
        self.running.remove(&id);
    }
}
