//! The store: Lua scripts, keys, retention, and a Redis that fails.

pub mod change_scripts;
pub mod cluster;
mod cluster_data;
pub mod cluster_failover;
pub mod cluster_listening;
pub mod functions;
pub mod inbox_order;
mod inbox_updates;
pub mod keys;
pub mod killed_redis;
mod late_updates;
pub mod lost_replies;
pub mod moving_slots;
pub mod out_of_memory;
pub mod permissions;
mod pin_reservations;
pub mod redis_cli;
pub mod redis_failures;
pub mod redis_mode;
pub mod redis_url;
pub mod refused_commands;
pub mod retention;
pub mod retention_sweep;
pub mod scripts;
pub mod sentinel;
mod two_steps;
