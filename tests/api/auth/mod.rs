//! Authentication, permissions and rate limits.

mod credentials;
mod failure_limits;
mod key_sets;
mod permissions;
mod rate_limits;
mod secrets;
mod tokens;
