//! What every test starts from: a service of its own, on a Redis of its own, at a port of its own.

pub mod auth;
pub mod cli;
pub mod http;
pub mod live;
pub mod load_generator;
pub mod metrics;
pub mod page;
pub mod rng;
pub mod source_tree;
pub mod store;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use duologue::app::{App, AppError};
use duologue::config::Config;
use duologue::model::{Pair, UserId};
use duologue::store::Keys;
use reqwest::{Client, ClientBuilder, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use http::response::ApiResponse;

/// A service in a thread of this process. Stopped when dropped, its Redis with it.
pub struct TestApp {
    /// `http://127.0.0.1:<port>`
    pub address: String,
    /// The same of `/metrics`, if it has an address of its own.
    pub metrics: Option<String>,
    pub client: Client,
    pub redis_url: String,
    _service: Service,
    /// Where a private Redis has its data; last, so that it outlives the service.
    _dir: Option<TempDir>,
}

/// A running [`App`].
struct Service {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A service with a private Redis that flushes when it likes: what most tests need.
pub fn spawn_app() -> TestApp {
    spawn_embedded("everysec")
}

/// A service with a private Redis that flushes before it acknowledges.
pub fn spawn_durable_app() -> TestApp {
    spawn_embedded("always")
}

fn spawn_embedded(fsync: &str) -> TestApp {
    spawn_app_with(&["--fsync", fsync])
}

/// A service with a private Redis, and settings of the test's own.
pub fn spawn_app_with(settings: &[&str]) -> TestApp {
    let dir = tempfile::tempdir().unwrap();
    let redis_url = format!("unix://{}/redis.sock", dir.path().display());
    let folder = dir.path().to_str().unwrap().to_owned();
    // A test that brings its own Redis passes another URL after this one.
    let settings = [&["--data-dir", &folder], settings].concat();
    let mut app = TestApp::start(&settings, redis_url, Some(dir));
    if let Some(at) = settings.iter().position(|s| *s == "--redis-url") {
        settings[at + 1].clone_into(&mut app.redis_url);
    }
    app
}

/// A service on a Redis that the test keeps.
pub fn spawn_app_on(redis_url: &str) -> TestApp {
    TestApp::start(&["--redis-url", redis_url], redis_url.to_owned(), None)
}

/// Why a service does not start with these settings.
pub fn refusal_to_start(settings: &[&str]) -> AppError {
    start(settings).map(|_| ()).unwrap_err()
}

/// Where a service is reached: its own address and that of its metrics.
type Addresses = (SocketAddr, Option<SocketAddr>);

fn start(settings: &[&str]) -> Result<(Addresses, Service), AppError> {
    let args = ["duologue", "--bind", "127.0.0.1:0", "--workers", "2"];
    let config = Config::read(args.iter().chain(settings)).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (built, when_built) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            match App::build(config).await {
                Ok(app) => {
                    let addresses = (app.address().unwrap(), app.metrics_address());
                    built.send(Ok(addresses)).unwrap();
                    let stopped = async { drop(stopped.await) };
                    // What a fault test did to its Redis is its own affair.
                    let _ = app.run_until(stopped).await;
                }
                Err(error) => built.send(Err(error)).unwrap(),
            }
        });
    });
    let service = Service {
        stop: Some(stop),
        thread: Some(thread),
    };
    Ok((when_built.recv().unwrap()?, service))
}

impl TestApp {
    fn start(settings: &[&str], redis_url: String, dir: Option<TempDir>) -> Self {
        let ((address, metrics), service) = start(settings).unwrap();
        let tls = if settings.contains(&"--tls-cert") {
            "s"
        } else {
            ""
        };
        Self {
            address: format!("http{tls}://{address}"),
            metrics: metrics.map(|address| format!("http://{address}")),
            client: client(),
            redis_url,
            _service: service,
            _dir: dir,
        }
    }

    /// A connection to Redis that passes the service by.
    pub fn redis(&self) -> redis::Connection {
        store::redis_server::connect(&self.redis_url)
    }

    pub async fn get(&self, path: &str) -> ApiResponse {
        self.request(Method::GET, path).await
    }

    pub async fn request(&self, method: Method, path: &str) -> ApiResponse {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address));
        ApiResponse::of(request.send().await.unwrap()).await
    }

    /// Asks with a JSON body.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> ApiResponse {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address));
        ApiResponse::of(request.json(body).send().await.unwrap()).await
    }

    /// Posts a message as it is.
    pub async fn post(&self, message: &Value) -> ApiResponse {
        self.post_text(message.to_string()).await
    }

    /// Posts anything at all as JSON to `/messages`.
    pub async fn post_text(&self, body: impl Into<reqwest::Body>) -> ApiResponse {
        let request = self.client.post(format!("{}/messages", self.address));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        ApiResponse::of(request.send().await.unwrap()).await
    }

    /// Sends a message that must be accepted, and answers it.
    pub async fn send(&self, from: &str, to: &str, body: &str) -> Value {
        let message = json!({"from": from, "to": to, "body": body});
        self.post(&message).await.json(201)
    }

    /// Sends a message with an `Idempotency-Key`.
    pub async fn send_with_key(&self, key: &str, message: &Value) -> ApiResponse {
        let request = self.client.post(format!("{}/messages", self.address));
        let request = request.header("idempotency-key", key).json(message);
        ApiResponse::of(request.send().await.unwrap()).await
    }

    /// What `user` reads of the conversation with `peer`, marking it as read.
    pub async fn read(&self, user: &str, peer: &str) -> Value {
        self.page(user, peer, "").await
    }

    /// The same, marking nothing.
    pub async fn peek(&self, user: &str, peer: &str) -> Value {
        self.page(user, peer, "peek=true").await
    }

    /// A page: `query` is what stands after the question mark.
    pub async fn page(&self, user: &str, peer: &str, query: &str) -> Value {
        let path = format!("/conversations/{user}/{peer}?{query}");
        self.get(&path).await.json(200)
    }
}

/// What a user does to a conversation.
impl TestApp {
    /// A receipt or the like, `what` being the end of the path.
    async fn mark(&self, method: Method, user: &str, peer: &str, what: &str, seq: u64) -> Value {
        let path = format!("/conversations/{user}/{peer}/{what}");
        let answer = self.ask(method, &path, &json!({"seq": seq})).await;
        answer.json(200)
    }

    pub async fn mark_read(&self, user: &str, peer: &str, seq: u64) -> Value {
        self.mark(Method::PUT, user, peer, "read", seq).await
    }

    pub async fn mark_delivered(&self, user: &str, peer: &str, seq: u64) -> Value {
        self.mark(Method::PUT, user, peer, "delivered", seq).await
    }

    pub async fn mark_unread(&self, user: &str, peer: &str, seq: u64) -> Value {
        self.mark(Method::POST, user, peer, "unread", seq).await
    }

    pub async fn clear(&self, user: &str, peer: &str) -> Value {
        let path = format!("/conversations/{user}/{peer}");
        self.request(Method::DELETE, &path).await.json(200)
    }

    /// Sets (`PUT`) or takes away (`DELETE`) a flag: `block` or `mute`.
    pub async fn flag(&self, method: Method, user: &str, peer: &str, flag: &str) -> Value {
        let path = format!("/conversations/{user}/{peer}/{flag}");
        self.request(method, &path).await.json(200)
    }

    /// A message as `user` sees it.
    pub async fn message(&self, user: &str, peer: &str, seq: u64) -> ApiResponse {
        self.get(&message_path(user, peer, seq)).await
    }

    pub async fn edit(&self, user: &str, peer: &str, seq: u64, edit: &Value) -> ApiResponse {
        let path = message_path(user, peer, seq);
        self.ask(Method::PATCH, &path, edit).await
    }

    pub async fn delete(&self, user: &str, peer: &str, seq: u64) -> ApiResponse {
        let path = message_path(user, peer, seq);
        self.request(Method::DELETE, &path).await
    }

    /// Adds (`PUT`) or takes back (`DELETE`) a reaction.
    pub async fn react(
        &self,
        method: Method,
        [user, peer]: [&str; 2],
        seq: u64,
        emoji: &str,
    ) -> ApiResponse {
        let path = message_path(user, peer, seq);
        self.request(method, &format!("{path}/reactions/{emoji}"))
            .await
    }

    /// A page of a user's inbox: `query` is what stands after the question mark.
    pub async fn inbox(&self, user: &str, query: &str) -> Value {
        let path = format!("/conversations/{user}?{query}");
        self.get(&path).await.json(200)
    }

    /// What a user's badge shows: unread messages, and conversations with some.
    pub async fn badge(&self, user: &str) -> [u64; 2] {
        let totals = self.get(&format!("/users/{user}/unread")).await.json(200);
        ["total_unread_count", "unread_conversations"].map(|name| totals[name].as_u64().unwrap())
    }
}

pub fn message_path(user: &str, peer: &str, seq: u64) -> String {
    format!("/conversations/{user}/{peer}/messages/{seq}")
}

/// A client that keeps no connection open, so that a service need not wait for it to stop.
pub fn client() -> Client {
    client_builder().build().unwrap()
}

/// The same, to be told more.
pub fn client_builder() -> ClientBuilder {
    // The service installs it too; a test may ask before any service was started.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let close = [("connection", "close")].map(|(name, value)| {
        let name = reqwest::header::HeaderName::from_static(name);
        (name, reqwest::header::HeaderValue::from_static(value))
    });
    Client::builder()
        .default_headers(close.into_iter().collect())
        .timeout(Duration::from_secs(30))
}

/// The seqs of an array of messages.
pub fn seqs(messages: &Value) -> Vec<u64> {
    let messages = messages.as_array().unwrap().iter();
    messages.map(|m| m["seq"].as_u64().unwrap()).collect()
}

/// The keys of a conversation: messages, unread, meta.
pub fn keys(one: &str, other: &str) -> [String; 3] {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    let (keys, pair) = (Keys::new(), Pair::of(&user(one), &user(other)));
    [keys.messages(&pair), keys.unread(&pair), keys.meta(&pair)]
}

/// Waits until something holds, for as long as it may take.
pub async fn eventually(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + within;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
