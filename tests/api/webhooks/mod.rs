//! Webhooks: events that are sent to a URL, signed, in order, until they are taken.

mod changes;
mod circuit;
mod connections;
mod dead_letters;
mod delivery;
mod failures;
mod networks;
mod outages;
mod processes;
mod settings;
mod signatures;
