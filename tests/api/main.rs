//! The tests of the service: black box over HTTP against a real Redis of each test's own, the
//! scripts directly, the faults, and the order of the house.
#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod bodies;
mod concurrency;
mod conversations;
mod credentials;
mod faults;
mod harness;
mod key_sets;
mod keys;
mod limits;
mod logs;
mod messages;
mod model;
mod network;
mod openapi;
mod operations;
mod problems;
mod readme;
mod scripts;
mod secrets;
mod starting;
mod tidy;
mod tls;
mod tokens;
