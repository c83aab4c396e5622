//! Duologue: self-hosted messaging for the backends of mobile apps, one-to-one and in rooms. One binary, one Redis.
//!
//! `docs/architecture.md` describes this crate: its layers, a glossary, and the path of a message and of an
//! event through the files. `docs/contributing.md` describes how to add an operation.

pub mod app;
pub mod archive;
pub mod auth;
pub mod cli;
pub mod config;
pub mod embedded_redis;
pub mod error;
pub mod http;
pub mod metrics;
pub mod model;
pub mod operations;
pub mod protocol;
pub mod rate;
pub mod realtime;
pub mod store;
pub mod tls;
pub mod worker;
