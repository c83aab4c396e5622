//! The archive: older messages leave Redis, and nobody who uses the API can tell.

mod changes;
mod erasure;
mod expiry;
mod failures;
mod importing;
mod live;
mod moving;
mod orphans;
mod pages;
mod recovery;
mod retention;
mod s3;
mod settings;
mod twins;
