//! The repository itself: architecture, script headers, OpenAPI document, README and docs.

pub mod answers;
pub mod architecture;
pub mod asyncapi;
pub mod docs;
pub mod live_schemas;
pub mod openapi;
pub mod operations;
pub mod readme;
pub mod schemas;
pub mod script_headers;
