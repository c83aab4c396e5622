//! Subscriptions: everything that happens, in order, acknowledged.

mod badge_stream;
mod badges;
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
