//! The repository itself: architecture, script headers, OpenAPI document, README and docs.

mod architecture;
mod docs;
mod live_schemas;
pub mod openapi;
mod readme;
mod script_headers;
