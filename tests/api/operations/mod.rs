//! Running the service: startup, probes, logs, TLS, and invalid HTTP requests.

pub mod bounds;
mod connections;
pub mod http_semantics;
pub mod invalid_requests;
pub mod logs;
mod monitoring;
pub mod network;
pub mod probes;
pub mod settings;
pub mod sites;
pub mod startup;
pub mod tls;
pub mod workers;
