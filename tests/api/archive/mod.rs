//! The archive: older messages leave Redis, and nobody who uses the API can tell.

mod changes;
mod failures;
mod moving;
mod pages;
mod settings;
mod twins;
