//! HTTP responses, and requests written byte by byte.

pub mod calls;
pub mod raw_connection;
pub mod response;
