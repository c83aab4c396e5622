//! Credentials: tokens, keys, certificates, and a service that requires them.

pub mod certificate_authority;
pub mod invalid_credentials;
pub mod jwks_server;
pub mod operations;
pub mod secured_app;
pub mod signing;
