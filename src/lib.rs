//! Duologue: one-to-one messaging for the backends of mobile apps. One binary, one Redis.
//!
//! # Layout
//!
//! Each layer knows only those below it; a test holds the direction.
//!
//! | module | what it is |
//! |---|---|
//! | `main` | flags, logging, signals |
//! | [`app`] | the service as a whole: build, run, stop |
//! | [`http`] | the only module that knows actix: routes, extractors, problem documents |
//! | [`store`] | the only module that knows Redis: keys, the connection, a method a script |
//! | [`redis_process`] | the private Redis: started, watched, restarted, stopped |
//! | [`auth`] | who calls and what they may do: tokens, service keys, key sets |
//! | [`model`] | the words of the trade as types: user, pair, message, conversation |
//! | [`config`], [`metrics`], [`error`] | every setting, every number, every failure: a table each |
//! | [`rate`] | rates and what is left of them |
//!
//! The decisions on data are in `lua/`, a script an operation. One word goes through all layers:
//! the operation `send_message` of `openapi.yaml` is the handler `http::messages::send_message`,
//! the method [`store::Store::send_message`] and the script `lua/send_message.lua`.
//!
//! # A message's way
//!
//! `POST /messages` is parsed into a [`model::NewMessage`], which cannot be made from anything that
//! is not allowed, and becomes a [`model::Draft`] with an id and a time. The script gives it its
//! `seq`, puts it in front of the list of its pair and counts it as unread, all or nothing. What it
//! stored is what every later answer holds, byte for byte.
//!
//! # Deliberately absent
//!
//! A trait over the store, a second implementation of it, and mocks: tests run against a real
//! Redis. A connection checked out per request. Decisions on data taken in Rust between two calls.

pub mod app;
pub mod auth;
pub mod config;
pub mod error;
pub mod http;
pub mod metrics;
pub mod model;
pub mod rate;
pub mod redis_process;
pub mod store;
