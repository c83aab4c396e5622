//! Tokens, keys, secrets and message bodies never reach the log or the metrics.

use std::path::PathBuf;
use std::time::Duration;

use redis::cmd;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::auth::jwks_server::JwksServer;
use crate::harness::auth::secured_app::{SECRET, SERVICE_KEY, token};
use crate::harness::auth::signing::{Signer, claims, in_seconds};
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::http::response::ApiResponse;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{client, eventually, keys};

/// Part of every message body and password.
const MARK: &str = "hunter2";

/// A service with its log, and all credentials used on it.
struct LoggedService {
    service: ServiceProcess,
    log: PathBuf,
    shown: Vec<String>,
    _dir: TempDir,
}

impl LoggedService {
    fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        Self {
            service: ServiceProcess::start_logged(dir.path(), settings, &log),
            log,
            shown: Vec::new(),
            _dir: dir,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn get(&self, path: &str) -> RequestBuilder {
        client().get(format!("{}{path}", self.service.address))
    }

    /// Sends a request with a credential and records the credential as secret.
    async fn ask(&mut self, credential: &str, request: RequestBuilder) -> u16 {
        self.shown.push(credential.to_owned());
        let answer = request.bearer_auth(credential).send().await.unwrap();
        ApiResponse::read(answer).await.status
    }

    async fn post(&mut self, body: impl Into<reqwest::Body>) -> u16 {
        let request = client().post(format!("{}/messages", self.service.address));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        self.ask(SERVICE_KEY, request).await
    }

    /// Checks that a text contains no part of a secret.
    fn assert_no_secret(&self, text: &str) {
        assert!(!text.contains(MARK), "{MARK} in {text}");
        let secrets = [SECRET, SERVICE_KEY].map(str::to_owned);
        for secret in self.shown.iter().chain(&secrets) {
            for part in secret.split('.').filter(|part| part.len() > 7) {
                assert!(!text.contains(part), "{part} in {text}");
            }
        }
    }
}

fn message() -> Value {
    json!({"from": "alice", "to": "bob", "body": MARK, "metadata": {MARK: MARK},
        "attachments": [{"url": format!("https://files.example.com/{MARK}"), "name": MARK}]})
}

async fn send_credentials(service_log: &mut LoggedService) {
    let signer = Signer::hs256(SECRET.as_bytes());
    let bad = |changes: Value| signer.sign(&claims("alice", &changes));
    let forged = Signer::hs256(b"a secret that the service does not use");
    let credentials = [
        (token("alice"), 200),
        (token("mallory"), 403),
        (bad(json!({"exp": in_seconds(-99)})), 401),
        (bad(json!({"sub": format!("{MARK}/")})), 401),
        (forged.sign(&claims("alice", &json!({}))), 401),
        (SERVICE_KEY.to_owned(), 200),
        (format!("{SERVICE_KEY}{MARK}"), 401),
        (format!("garbage-{MARK}"), 401),
    ];
    for (credential, status) in credentials {
        let request = service_log.get("/conversations/alice/bob");
        assert_eq!(service_log.ask(&credential, request).await, status);
        // Parts of a request to which tokens do not belong, but where they end up by mistake.
        let paths = [
            "/nowhere/",
            "/docs/",
            "/conversations/alice/",
            "/healthz?token=",
        ];
        for path in paths {
            let request = service_log.get(&format!("{path}{credential}"));
            service_log.ask(&credential, request).await;
        }
    }
}

async fn send_bodies(service_log: &mut LoggedService) {
    let text = message().to_string();
    let unknown = text.replacen("metadata", MARK, 1);
    let wrong = text.replacen("\"alice\"", &format!("\"{MARK}/\""), 1);
    let unanswerable = text.replacen("\"from\"", "\"reply_to\":77,\"from\"", 1);
    let large = message().to_string() + &MARK.repeat(80_000);
    let cases = [
        (text.clone(), 201),
        (text[..text.len() - 1].to_owned(), 400),
        (format!("[{text}]"), 400),
        (format!("{text}{text}"), 400),
        (MARK.to_owned(), 400),
        (unknown, 400),
        (wrong, 400),
        (unanswerable, 422),
        (large, 413),
    ];
    for (body, status) in cases {
        assert_eq!(service_log.post(body).await, status);
    }
}

fn config(redis: &RedisServer, name: &str, value: &str) {
    let mut config = cmd("CONFIG");
    config.arg("SET").arg(name).arg(value);
    config.exec(&mut redis.connect()).unwrap();
}

/// Makes Redis fail in several ways while messages are sent.
async fn break_redis(service_log: &mut LoggedService, redis: &mut RedisServer) {
    let text = message().to_string();
    config(redis, "maxmemory", "1");
    assert_eq!(service_log.post(text.clone()).await, 507);
    config(redis, "maxmemory", "0");
    // A key of another type makes the script fail midway.
    let [messages, ..] = keys("dave", "erin");
    let mut set = cmd("SET");
    set.arg(&messages)
        .arg(MARK)
        .exec(&mut redis.connect())
        .unwrap();
    let broken = text.replace("alice", "dave").replace("bob", "erin");
    assert_eq!(service_log.post(broken).await, 500);
    redis.kill();
    assert_eq!(service_log.post(text.clone()).await, 503);
    redis.restart();
    // New connections need another password from now on.
    let mut open = redis.connect();
    config(redis, "requirepass", "another");
    let mut kill = cmd("CLIENT");
    kill.arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .exec(&mut open)
        .unwrap();
    assert_eq!(service_log.post(text).await, 503);
}

#[tokio::test]
async fn no_secret_and_no_message_reaches_the_log_or_the_metrics() {
    let mut redis = RedisServer::durable();
    let url = format!("{}?pass={MARK}", redis.url());
    let mut service_log = LoggedService::start(&[
        ("DUOLOGUE_REDIS_URL", &url),
        ("DUOLOGUE_JWT_SECRET", SECRET),
        ("DUOLOGUE_SERVICE_KEYS", SERVICE_KEY),
        ("DUOLOGUE_CORS_ORIGINS", "https://app.example"),
    ]);
    send_credentials(&mut service_log).await;
    send_bodies(&mut service_log).await;
    break_redis(&mut service_log, &mut redis).await;
    let metrics = service_log.get("/metrics").bearer_auth(SERVICE_KEY);
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("duologue_errors_total"));
    service_log.assert_no_secret(&metrics);
    let log = service_log.log();
    let happened = [
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "MALFORMED_JSON",
        "STORAGE_FULL",
        "INTERNAL",
        "UNAVAILABLE",
    ];
    for word in happened {
        assert!(log.contains(word), "{word} is not in {log}");
    }
    service_log.assert_no_secret(&log);
}

#[tokio::test]
async fn the_password_of_a_jwks_url_is_not_logged() {
    let signer = Signer::es256();
    let source = JwksServer::start(&[signer.jwk("one")]);
    let url = source
        .url
        .replace("http://", &format!("http://user:{MARK}@"))
        + "?token="
        + MARK;
    let mut service_log = LoggedService::start(&[("DUOLOGUE_JWKS", &url)]);
    source.answer(500, MARK);
    let token = signer.sign_by("two", &claims("alice", &json!({})));
    let request = service_log.get("/conversations/alice/bob");
    assert_eq!(service_log.ask(&token, request).await, 401);
    eventually(
        "the failure is logged",
        Duration::from_secs(10),
        async || service_log.log().contains("stay in use"),
    )
    .await;
    source.answer(200, MARK);
    let request = service_log.get("/conversations/alice/bob");
    service_log.ask(&token, request).await;
    service_log.assert_no_secret(&service_log.log());
}
