//! The store: Lua scripts, keys, retention, and a Redis that fails.

mod change_scripts;
mod inbox_order;
mod keys;
mod killed_redis;
mod out_of_memory;
mod permissions;
mod redis_cli;
mod redis_failures;
mod retention;
pub mod scripts;
