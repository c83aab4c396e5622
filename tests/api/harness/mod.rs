//! A service for each test, on its own Redis and port, and the calls that tests make.

pub mod archive;
pub mod auth;
pub mod badges;
pub mod cli;
pub mod contract;
pub mod conversations;
pub mod http;
pub mod import;
pub mod live;
pub mod load_generator;
pub mod metrics;
pub mod models;
pub mod page;
pub mod rng;
pub mod rooms;
pub mod s3_server;
pub mod source_tree;
pub mod store;
pub mod subscriptions;
pub mod webhooks;

use std::net::SocketAddr;
use std::sync::{LazyLock, mpsc};
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
use store::direct_connection::{DirectConnection, masters_of};
use store::pooled_cluster::PooledCluster;

/// A service in a thread of this process. Stopped when dropped, together with its Redis.
pub struct TestApp {
    /// `http://127.0.0.1:<port>`
    pub address: String,
    /// The address of `/metrics`, if it has its own.
    pub metrics: Option<String>,
    pub client: Client,
    pub redis_url: String,
    _service: Service,
    /// The cluster of the service, if the tests run on clusters.
    cluster: Option<PooledCluster>,
    /// The data of an embedded Redis; the last field, so that it outlives the service.
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

/// A service with an embedded Redis that flushes once a second, which is enough for most tests.
pub fn spawn_app() -> TestApp {
    spawn_embedded("everysec")
}

/// A service with an embedded Redis that flushes before it acknowledges, also if the tests run on clusters.
pub fn spawn_durable_app() -> TestApp {
    spawn_embedded("always")
}

fn spawn_embedded(fsync: &str) -> TestApp {
    spawn_app_with(&["--fsync", fsync])
}

/// A service with an embedded Redis and more settings.
pub fn spawn_app_with(settings: &[&str]) -> TestApp {
    if runs_on_cluster(settings) {
        let cluster = PooledCluster::take();
        let url = cluster.url();
        let settings = [settings, &["--redis-url", &url]].concat();
        let mut app = TestApp::start(&settings, url.clone(), None);
        app.cluster = Some(cluster);
        return app;
    }
    let dir = tempfile::tempdir().unwrap();
    let redis_url = format!("unix://{}/redis.sock", dir.path().display());
    let folder = dir.path().to_str().unwrap().to_owned();
    // Tests may pass `--redis-url`, which takes precedence.
    let settings = [&["--data-dir", &folder], settings].concat();
    let mut app = TestApp::start(&settings, redis_url, Some(dir));
    if let Some(at) = settings.iter().position(|s| *s == "--redis-url") {
        settings[at + 1].clone_into(&mut app.redis_url);
    }
    app
}

/// Whether a service with these settings uses a cluster: if `DUOLOGUE_TEST_STORE` says so, unless the test is
/// about the private Redis, its file or its memory, or has a Redis of its own.
fn runs_on_cluster(settings: &[&str]) -> bool {
    let own = ["--redis-url", "--data-dir", "--maxmemory", "always"];
    std::env::var("DUOLOGUE_TEST_STORE").is_ok_and(|store| store == "cluster")
        && !settings.iter().any(|setting| own.contains(setting))
}

/// A service on a Redis of the test.
pub fn spawn_app_on(redis_url: &str) -> TestApp {
    TestApp::start(&["--redis-url", redis_url], redis_url.to_owned(), None)
}

/// The error of a service that must not start with these settings.
pub fn refusal_to_start(settings: &[&str]) -> AppError {
    start(settings).map(|_| ()).unwrap_err()
}

/// The address of the service and that of its metrics.
type Addresses = (SocketAddr, Option<SocketAddr>);

fn start(settings: &[&str]) -> Result<(Addresses, Service), AppError> {
    let args = ["duologue", "--bind", "127.0.0.1:0", "--workers", "2"];
    let given = settings.contains(&"--two-steps");
    let wanted = std::env::var("DUOLOGUE_TEST_STORE").is_ok_and(|store| store == "two-step");
    let two_steps = (wanted && !given).then_some(&"--two-steps");
    let config = Config::read(args.iter().chain(two_steps).chain(settings)).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (built, when_built) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            match App::build(config).await {
                Ok(app) => {
                    let addresses = (app.address().unwrap(), app.metrics_address());
                    built.send(Ok(addresses)).unwrap();
                    let stopped = async { drop(stopped.await) };
                    // Fault tests stop the Redis before the service, which is then an error here.
                    let _ = app.run_until_stopped(stopped).await;
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
            cluster: None,
            _dir: dir,
        }
    }

    /// A direct connection to Redis.
    pub fn redis(&self) -> DirectConnection {
        if let Some(cluster) = &self.cluster {
            return cluster.connect();
        }
        // A cluster of another service, of which the URL names some nodes.
        let nodes = self.redis_url.strip_prefix("redis+cluster://");
        let urls = match nodes.and_then(|nodes| nodes.split(',').next()) {
            Some(node) => masters_of(node),
            None => vec![self.redis_url.clone()],
        };
        DirectConnection::to(urls.iter().map(String::as_str))
    }

    pub async fn get(&self, path: &str) -> ApiResponse {
        self.request(Method::GET, path).await
    }

    pub async fn request(&self, method: Method, path: &str) -> ApiResponse {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address));
        ApiResponse::read(request.send().await.unwrap()).await
    }

    /// Sends a request with a JSON body.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> ApiResponse {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address));
        ApiResponse::read(request.json(body).send().await.unwrap()).await
    }

    /// Posts a message as given.
    pub async fn post(&self, message: &Value) -> ApiResponse {
        self.post_text(message.to_string()).await
    }

    /// Posts any body to `/messages`, declared as JSON.
    pub async fn post_text(&self, body: impl Into<reqwest::Body>) -> ApiResponse {
        let request = self.client.post(format!("{}/messages", self.address));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        ApiResponse::read(request.send().await.unwrap()).await
    }

    /// Sends a message that must be accepted, and returns it.
    pub async fn send(&self, from: &str, to: &str, body: &str) -> Value {
        let message = json!({"from": from, "to": to, "body": body});
        self.post(&message).await.json(201)
    }

    /// Sends a message with an `Idempotency-Key`.
    pub async fn send_with_key(&self, key: &str, message: &Value) -> ApiResponse {
        let request = self.client.post(format!("{}/messages", self.address));
        let request = request.header("idempotency-key", key).json(message);
        ApiResponse::read(request.send().await.unwrap()).await
    }

    /// Reads the conversation of `user` with `peer` and marks it as read.
    pub async fn read(&self, user: &str, peer: &str) -> Value {
        self.page(user, peer, "").await
    }

    /// Reads without marking anything as read.
    pub async fn peek(&self, user: &str, peer: &str) -> Value {
        self.page(user, peer, "peek=true").await
    }

    /// Reads a page with a query string.
    pub async fn page(&self, user: &str, peer: &str, query: &str) -> Value {
        let path = format!("/conversations/{user}/{peer}?{query}");
        self.get(&path).await.json(200)
    }
}

/// A client without keep-alive, so that a stopping service does not wait for its connections. All
/// tests share one, because building it loads the certificates of the machine.
pub fn client() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| client_builder().build().unwrap());
    CLIENT.clone()
}

/// The builder of such a client.
pub fn client_builder() -> ClientBuilder {
    // The service installs it too, but a test may need a client before any service starts.
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

/// The keys of a conversation: messages, meta.
pub fn keys(one: &str, other: &str) -> [String; 2] {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    let (keys, pair) = (Keys::new(), Pair::of(&user(one), &user(other)));
    keys.conversation(&pair)
}

/// Polls until a condition holds; panics after the timeout.
pub async fn eventually(what: &str, within: Duration, holds: impl AsyncFnMut() -> bool) {
    assert!(holds_within(within, holds).await, "never: {what}");
}

/// Polls until a condition holds; returns whether it did in time.
pub async fn holds_within(within: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let deadline = tokio::time::Instant::now() + within;
    while !holds().await {
        if tokio::time::Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
