//! Messages: sent, edited, deleted, reacted to, imported.

mod deletions;
mod edits;
mod idempotency;
mod import;
mod invalid_bodies;
mod reactions;
mod send;
mod stored_form;
mod user_ids;
mod validation;
