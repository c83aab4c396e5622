//! The tests of the service: black box over HTTP against a real Redis of each test's own, the
//! scripts directly, the faults, and the order of the house.
#![allow(clippy::unwrap_used, missing_docs)]

mod bodies;
mod concurrency;
mod conversations;
mod faults;
mod harness;
mod keys;
mod messages;
mod model;
mod openapi;
mod operations;
mod problems;
mod readme;
mod scripts;
mod starting;
mod tidy;
