//! Authentication, permissions and rate limits.

mod credentials;
mod failure_limits;
mod key_sets;
mod permissions;
mod rate_limits;
mod room_permissions;
mod secrets;
mod tokens;
