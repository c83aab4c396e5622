//! The Redis servers of tests, and Lua scripts called directly.

pub mod contents;
pub mod lua;
pub mod redis_proxy;
pub mod redis_server;
pub mod tcp_server;
