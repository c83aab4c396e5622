//! Webhooks: events that are sent to a URL.

mod networks;
mod settings;
