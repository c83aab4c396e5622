//! Running the service: startup, probes, logs, TLS, and requests that are no valid HTTP calls.

pub mod invalid_requests;
mod logs;
mod network;
mod probes;
mod startup;
mod tls;
mod workers;
