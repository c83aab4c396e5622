//! The only module that knows actix.
//!
//! A request passes [`middleware`] (request id, metrics, log, problem documents), is routed by the
//! table in [`routes`], is parsed by the extractors in [`extract`], [`header`] and [`path`] into values of
//! [`crate::model`], and ends in a handler that calls the operation of its own name in
//! [`crate::operations`] and writes the response.

mod connection;
mod contract;
mod endpoints;
mod extract;
mod header;
mod http2_upgrade;
mod json;
mod listen;
mod live;
mod middleware;
mod path;
mod problem;
mod routes;
mod server;

pub use actix_web::dev::{Server, ServerHandle};
pub use contract::{asyncapi, asyncapi_yaml, openapi, openapi_yaml};
pub use listen::ServeError;
#[cfg(target_os = "linux")]
pub use listen::set_tcp_user_timeout;
pub use routes::Routes;
pub use server::{Http, serve_metrics};
