//! A service that asks who calls, and the credentials for it.

use std::collections::BTreeMap;
use std::time::Duration;

use duologue::auth::{Rules, TokenRequest};
use duologue::model::UserId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::auth::signing::Signer;
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app_with};

/// What user tokens are signed with.
pub const SECRET: &str = "a secret of the tests, of no use elsewhere";
/// What the backend shows.
pub const SERVICE_KEY: &str = "service-key-of-the-tests-of-no-use-elsewhere";
/// What a backend showed last year.
pub const ROTATED_OUT: &str = "last-years-service-key-of-the-tests-of-no-use";

/// A service for users with a token and backends with a key, without limits.
pub fn spawn_closed_app() -> TestApp {
    spawn_closed_app_with(&["--send-rate", "0", "--request-rate", "0"])
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
    TokenRequest { sub, ttl }
        .mint(&secret, &Rules::default())
        .unwrap()
}

/// A user's token that ends so many seconds from now.
pub fn token_until(user: &str, seconds: i64) -> String {
    let exp = chrono::Utc::now().timestamp() + seconds;
    Signer::hs256(SECRET.as_bytes()).sign(&json!({"sub": user, "exp": exp}))
}

impl TestApp {
    /// A request with headers and perhaps a body of JSON.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> ApiResponse {
        let json = [("content-type", "application/json")];
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        let more: &[_] = if typed || body.is_none() { &[] } else { &json };
        let text = body.map(Value::to_string).unwrap_or_default();
        self.call_text(method, path, &[headers, more].concat(), text)
            .await
    }

    /// A request with headers and any body at all.
    pub async fn call_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> ApiResponse {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.address);
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        ApiResponse::of(request.send().await.unwrap()).await
    }

    /// A `GET` with a bearer's credential.
    pub async fn get_as(&self, credential: &str, path: &str) -> ApiResponse {
        let header = ("authorization", &*format!("Bearer {credential}"));
        self.call("GET", path, &[header], None).await
    }

    /// A `POST /messages` with a bearer's credential.
    pub async fn post_as(&self, credential: &str, message: &Value) -> ApiResponse {
        let header = ("authorization", &*format!("Bearer {credential}"));
        self.call("POST", "/messages", &[header], Some(message))
            .await
    }

    /// All texts of the store's lists and hashes, for searching; a `DUMP` is compressed.
    pub fn texts(&self) -> String {
        let mut redis = self.redis();
        let mut all = Vec::<String>::new();
        for key in self.contents().into_keys() {
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut redis).unwrap();
            let mut command = match kind.as_str() {
                "list" => redis::cmd("LRANGE"),
                "hash" => redis::cmd("HGETALL"),
                _ => continue,
            };
            command.arg(&key);
            let range: &[i32] = if kind == "list" { &[0, -1] } else { &[] };
            all.extend(command.arg(range).query::<Vec<String>>(&mut redis).unwrap());
        }
        all.concat()
    }

    /// Empties the store of all that users made.
    pub fn forget_everything(&self) {
        let mut redis = self.redis();
        let keys: Vec<String> = redis::cmd("KEYS").arg("dm:{*").query(&mut redis).unwrap();
        if !keys.is_empty() {
            redis::cmd("DEL").arg(keys).exec(&mut redis).unwrap();
        }
    }

    /// Everything in the store but the counters of rates, for comparing.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut redis = self.redis();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
        let keys = keys.into_iter().filter(|key| !key.contains(":rate:"));
        keys.map(|key| {
            let dump = redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap();
            (key, dump)
        })
        .collect()
    }
}
