//! Running the service: startup, probes, logs, TLS, and requests that are no valid HTTP calls.

mod http_semantics;
pub mod invalid_requests;
mod logs;
mod network;
mod probes;
mod sites;
mod startup;
mod tls;
mod workers;
