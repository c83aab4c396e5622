//! A service that requires credentials, and the credentials for it.

use std::time::Duration;

use duologue::auth::{Rules, TokenRequest};
use duologue::model::UserId;
use serde_json::json;

use crate::harness::auth::signing::Signer;
use crate::harness::{TestApp, spawn_app_with};

/// The secret that signs user tokens.
pub const SECRET: &str = "a secret of the tests, of no use elsewhere";
/// The current service key of the backend.
pub const SERVICE_KEY: &str = "service-key-of-the-tests-of-no-use-elsewhere";
/// A service key that is no longer valid.
pub const ROTATED_OUT: &str = "last-years-service-key-of-the-tests-of-no-use";

/// A service that requires user tokens or a service key, without rate limits.
pub fn spawn_secured_app() -> TestApp {
    spawn_secured_app_with(&["--send-rate", "0", "--request-rate", "0"])
}

/// The same with more settings.
pub fn spawn_secured_app_with(settings: &[&str]) -> TestApp {
    let secrets = ["--jwt-secret", SECRET, "--service-keys", SERVICE_KEY];
    spawn_app_with(&[&secrets, settings].concat())
}

/// A user token that is valid for an hour.
pub fn token(user: &str) -> String {
    let sub = UserId::try_from(user.to_owned()).unwrap();
    let ttl = Duration::from_secs(3600);
    let secret = SECRET.parse().unwrap();
    TokenRequest { sub, ttl }
        .mint(&secret, &Rules::default())
        .unwrap()
}

/// A user token that expires this many seconds from now.
pub fn token_until(user: &str, seconds: i64) -> String {
    let exp = chrono::Utc::now().timestamp() + seconds;
    Signer::hs256(SECRET.as_bytes()).sign(&json!({"sub": user, "exp": exp}))
}
