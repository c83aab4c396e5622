//! Everything that runs in the background, in one list. A worker is a loop of steps that ends
//! after the step in progress when it is told to stop; [`Workers`] starts, watches and stops them.
//!
//! A new worker is a file of this module, which implements [`Worker`], and a line in [`start`].

pub mod archive;
mod certificate;
pub mod feed;
mod filing;
mod heartbeat;
mod key_set;
pub mod orphans;
mod outbox;
pub mod presence;
mod pubsub;
pub mod retention;
mod scan;
pub mod schedule;
mod supervisor;
pub mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

pub use supervisor::{Worker, Workers};

use crate::auth::Jwks;
use crate::metrics::Metrics;
use crate::realtime::{Hub, PresenceChange};
use crate::store::{PubSubListener, Store};
use crate::tls::Certificate;

/// What the workers work on.
pub struct Background {
    pub store: Store,
    pub hub: Arc<Hub>,
    /// The connection whose messages go to the hub.
    pub listener: PubSubListener,
    /// The presence changes that the hub reports.
    pub presence_changes: mpsc::UnboundedReceiver<PresenceChange>,
    pub retention: bool,
    /// Whether older messages move to an archive.
    pub archive: bool,
    /// What the feeds of subscriptions keep.
    pub feed: feed::FeedRetention,
    pub webhooks: webhooks::WebhookSettings,
    /// The key set of user tokens, if one is configured.
    pub jwks: Option<Arc<Jwks>>,
    /// The certificate of HTTPS, if one is configured.
    pub certificate: Option<Arc<Certificate>>,
}

/// Starts every worker. They stop in this order: those that others depend on come last.
pub fn start(background: Background, metrics: Arc<Metrics>) -> Workers {
    let Background { store, hub, .. } = background;
    let mut workers = Workers::new(metrics.clone());
    workers.start(feed::FeedWorker::new(
        store.clone(),
        metrics.clone(),
        background.feed,
    ));
    let webhooks = webhooks::WebhookWorker::new(
        store.clone(),
        hub.clone(),
        metrics.clone(),
        background.webhooks,
    );
    match webhooks {
        Ok(webhooks) => workers.start(webhooks),
        Err(error) => tracing::error!(%error, "webhooks cannot be sent"),
    }
    if let Some(filings) = store.filings() {
        workers.start(filing::FilingWorker::new(store.clone(), filings));
    }
    workers.start(outbox::OutboxWorker::new(store.clone(), metrics.clone()));
    if background.archive {
        workers.start(archive::ArchiveWorker::new(store.clone(), metrics));
        workers.start(orphans::OrphanWorker::new(store.clone()));
    }
    if background.retention {
        workers.start(retention::RetentionWorker::new(store.clone()));
    }
    workers.start(schedule::ScheduleWorker::new(store.clone()));
    if let Some(jwks) = background.jwks {
        workers.start(key_set::KeySetWorker(jwks));
    }
    if let Some(certificate) = background.certificate {
        workers.start(certificate::CertificateWorker(certificate));
    }
    workers.start(heartbeat::HeartbeatWorker::new(hub.clone()));
    let registry = hub.registry().clone();
    let changes = background.presence_changes;
    workers.start(presence::PresenceWorker::new(store, registry, changes));
    workers.start(pubsub::PubSubWorker::new(hub, background.listener));
    workers
}

/// Ticks at once, and then in a period. After a step that takes longer than the period, it does not catch up.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
