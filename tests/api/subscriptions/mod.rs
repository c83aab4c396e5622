//! Subscriptions: everything that happens, in order, acknowledged.

mod badge_stream;
mod badges;
mod changes;
mod limits;
mod order;
mod push_hook;
mod rooms;
mod seek;
mod settings;
mod survival;
mod taking;
mod waiting;

use std::sync::Arc;

use duologue::metrics::Metrics;
use duologue::model::Retention;
use duologue::store::Store;
use redis::Commands;

use crate::harness::TestApp;
use crate::harness::store::outbox::is_in_two_steps;

/// The store of a service, for what its worker does.
fn open_store(app: &TestApp) -> Store {
    let metrics = Arc::new(Metrics::new());
    let retention = Retention {
        messages: 0,
        days: 0,
    };
    let store = Store::new(&app.redis_url, None, retention, metrics).unwrap();
    if is_in_two_steps() {
        return store.in_two_steps();
    }
    store
}

/// Sets what the store keeps of a subscription, as if a process had died in the middle of a change.
fn interrupt(app: &TestApp, name: &str, phase: &str) {
    let mut redis = app.redis();
    let stored: String = redis.hget("dm:subscriptions", name).unwrap();
    let stored = stored.replacen("|open|", &format!("|{phase}|"), 1);
    let () = redis.hset("dm:subscriptions", name, stored).unwrap();
}
