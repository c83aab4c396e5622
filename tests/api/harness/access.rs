//! A service that asks who calls, and the credentials for it.

use std::time::Duration;

use duologue::auth::{Issuance, Rules};
use duologue::model::UserId;

use super::{TestApp, spawn_app_with};

/// What user tokens are signed with.
pub const SECRET: &str = "a secret of the tests, of no use elsewhere";
/// What the backend shows.
pub const SERVICE_KEY: &str = "service-key-of-the-tests-of-no-use-elsewhere";

/// A service for users with a token and backends with a key, without limits.
pub fn spawn_closed_app() -> TestApp {
    spawn_closed_app_with(&["--send-rate", "0", "--read-rate", "0"])
}

/// The same, with settings of the test's own.
pub fn spawn_closed_app_with(settings: &[&str]) -> TestApp {
    let secrets = ["--jwt-secret", SECRET, "--service-keys", SERVICE_KEY];
    spawn_app_with(&[&secrets, settings].concat())
}

/// A user's token, good for an hour.
pub fn token(user: &str) -> String {
    let sub = UserId::try_from(user.to_owned()).unwrap();
    let ttl = Duration::from_secs(3600);
    let secret = SECRET.parse().unwrap();
    Issuance { sub, ttl }
        .mint(&secret, &Rules::default())
        .unwrap()
}
