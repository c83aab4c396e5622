//! The repository itself: architecture, script headers, OpenAPI document, README.

pub mod architecture;
mod openapi;
mod readme;
mod script_headers;
