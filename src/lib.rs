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
//! | [`http`] | the only module that knows actix: endpoints, live connections, middleware |
//! | [`worker`] | everything that runs in the background |
//! | [`realtime`] | live delivery without sockets: who is connected, what a connection does next |
//! | [`store`] | the only module that knows Redis: keys, the connection, one method per script |
//! | [`protocol`] | what travels on a live connection: events, client messages, close reasons |
//! | [`auth`] | who calls and what they may do: tokens, service keys, key sets |
//! | [`model`] | user, pair, message, conversation: types that are valid by construction |
//! | [`config`], [`metrics`], [`error`] | every setting, every metric, every error: a table each |
//! | [`rate`] | rate limits and what is left of them |
//! | [`embedded_redis`] | the private Redis: started, watched, restarted, stopped |
//! | [`cli`] | `duologue chat` and `duologue import` |
//!
//! The decisions on data are in `lua/`, a script an operation. One word goes through all layers:
//! the operation `send_message` of `openapi.yaml` is the handler `http::endpoints::messages::send_message`,
//! the method [`store::Store::send_message`] and the script `lua/send_message.lua`.
//!
//! # A message's way
//!
//! `POST /messages` is parsed into a [`model::NewMessage`], which cannot be made from anything that
//! is not allowed, and becomes a [`model::PendingMessage`] with an id and a time. One script does the rest,
//! all or nothing: `send_message` gives it its `seq`, puts it in front of the list of its pair and
//! counts it as unread; `stamp_conversation` gives the conversation its next version;
//! `file_conversation` files what each of the two users now sees into their inbox, with the totals
//! of their badge, and, if they listen, writes it into their journal and publishes it. There the hub
//! of each process hears it and takes it to the devices ([`realtime`]). Every other change of a
//! conversation is the same with another first part (`src/store/compose.rs`). What was stored is
//! what every later answer holds, byte for byte.
//!
//! # Deliberately absent
//!
//! A trait over the store, a second implementation of it, and mocks: tests run against a real
//! Redis. A connection checked out per request. Decisions on data taken in Rust between two calls.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod embedded_redis;
pub mod error;
pub mod http;
pub mod metrics;
pub mod model;
pub mod protocol;
pub mod rate;
pub mod realtime;
pub mod store;
pub mod worker;
