//! Messages: sent, edited, deleted, reacted to, imported.

mod attachment_urls;
mod attachments;
mod blank_texts;
mod client_id;
mod deletions;
mod edits;
pub mod expiry;
mod idempotency;
mod import;
mod import_lines;
mod invalid_bodies;
mod merge_patch;
mod null_members;
mod preconditions;
mod reactions;
mod repeated_sends;
mod request_size;
mod send;
mod stored_form;
mod user_id_encoding;
mod user_ids;
mod validation;
