//! Authentication, permissions and rate limits.

mod credentials;
mod key_sets;
mod permissions;
mod rate_limits;
mod secrets;
mod tokens;
