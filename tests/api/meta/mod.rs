//! The repository itself: architecture, script headers, OpenAPI document, README.

mod architecture;
mod openapi;
mod readme;
mod script_headers;
