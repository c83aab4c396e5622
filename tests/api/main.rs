//! The tests of the service, in folders that mirror the modules of the crate.
//!
//! Most of them are black-box tests over HTTP; each starts a service and a Redis of its own.
#![allow(clippy::unwrap_used)]

mod archive;
mod auth;
mod chaos;
mod cli;
mod conversations;
mod harness;
mod live;
mod messages;
mod meta;
mod operations;
mod page;
mod rooms;
mod store;
mod subscriptions;
mod webhooks;
