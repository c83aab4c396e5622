//! The only module that knows actix.
//!
//! A request passes [`observe`] (request id, metrics, log, problem documents), is routed by the
//! table in [`routes`], is parsed by the extractors of [`extract`] into values of
//! [`crate::model`], and ends in a handler of three to ten lines that calls the store's method of
//! its own name.

mod conversations;
mod docs;
mod extract;
mod messages;
mod observe;
mod probes;
mod problem;
mod routes;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server};
use actix_web::{App, HttpServer, web};

pub use docs::openapi_yaml;
pub use routes::openapi;

use crate::metrics::Metrics;
use crate::store::Store;

/// What the HTTP layer is made of.
pub struct Http {
    /// The store; each worker takes a handle of its own.
    pub store: Store,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Worker threads.
    pub workers: usize,
}

/// A connection that is counted as open for as long as it exists.
struct Counted(Arc<Metrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

impl Http {
    /// Serves on a listener until the returned server is stopped. Signals are left to the caller.
    pub fn serve(self, listener: TcpListener) -> std::io::Result<Server> {
        let Self {
            store,
            metrics,
            workers,
        } = self;
        let docs = docs::Docs::new();
        let counted = metrics.clone();
        let server = HttpServer::new(move || {
            // Only a URL that was already parsed goes in, so a worker's handle cannot fail.
            let store = store.another().unwrap_or_else(|_| store.clone());
            App::new()
                .app_data(web::Data::new(store))
                .app_data(web::Data::from(metrics.clone()))
                .app_data(docs.clone())
                .wrap(actix_web::middleware::from_fn(observe::observe))
                .configure(routes::configure)
        });
        server
            .workers(workers)
            .disable_signals()
            .shutdown_timeout(10)
            .client_request_timeout(Duration::from_secs(5))
            .on_connect(move |_, connection: &mut Extensions| {
                counted.connections.inc();
                connection.insert(Counted(counted.clone()));
            })
            .listen(listener)
            .map(HttpServer::run)
    }
}
