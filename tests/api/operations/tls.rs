//! TLS: HTTPS with a certificate that is reloaded, and `rediss://` with private authorities.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use duologue::app::AppError;
use duologue::config::Config;
use duologue::metrics::Metrics;
use duologue::model::Retention;
use duologue::store::Store;
use redis::cmd;
use reqwest::{Certificate, Client};

use crate::harness::auth::certificate_authority::CertificateAuthority;
use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with};
use crate::harness::cli::chat_process::ChatProcess;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, client_builder, eventually, keys, refusal_to_start, spawn_app_with};

/// A client that trusts only these authorities.
fn client_trusting(authorities: &[&CertificateAuthority]) -> Client {
    let roots = authorities
        .iter()
        .map(|authority| Certificate::from_pem(authority.pem().as_bytes()).unwrap());
    client_builder().tls_certs_only(roots).build().unwrap()
}

fn serve(authority: &CertificateAuthority) -> TestApp {
    authority.sign("server", "127.0.0.1");
    let (cert, key) = (authority.path("server.pem"), authority.path("server.key"));
    spawn_secured_app_with(&["--tls-cert", &cert, "--tls-key", &key])
}

async fn is_served(client: &Client, app: &TestApp) -> bool {
    let url = format!("{}/healthz", app.address);
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|a| a.status() == 200)
}

#[tokio::test]
async fn https_is_served_and_plain_http_is_not() {
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let app = serve(&authority);
    let client = client_trusting(&[&authority]);
    assert!(is_served(&client, &app).await);
    let url = format!("{}/conversations/alice/bob", app.address);
    let asked = client.get(&url).bearer_auth(SERVICE_KEY).send().await;
    assert_eq!(asked.unwrap().status(), 200);
    assert!(!is_served(&client_trusting(&[&stranger]), &app).await);
    let plain = url.replace("https://", "http://");
    assert!(client.get(plain).send().await.is_err(), "no plain HTTP");
}

#[tokio::test]
async fn devices_connect_over_tls() {
    let authority = CertificateAuthority::new();
    let app = serve(&authority);
    let options = ConnectOptions::new(&app.address).client(client_trusting(&[&authority]));
    let options = options.bearer(SERVICE_KEY);
    let mut alice = options.clone().user("alice").connect(None).await;
    let mut bob = options.user("bob").connect(None).await;
    let sent = alice.send("bob", "hi").await;
    assert_eq!(bob.next().await["message"], sent);
    // The chat command uses the trusted certificates of the machine.
    let (trusted, known) = (authority.path("ca.pem"), ("DUOLOGUE_TOKEN", SERVICE_KEY));
    let trusting = [("SSL_CERT_FILE", &*trusted), known];
    let mut carol = ChatProcess::start_with(&app.address, "carol", "bob", &trusting);
    carol.type_line("hello");
    carol.wait_for_line("carol: hello");
    let mut stranger = ChatProcess::start_with(&app.address, "carol", "bob", &[known]);
    assert_eq!(stranger.wait_for_exit().code(), Some(1));
    assert_eq!(stranger.messages(), [] as [&str; 0]);
}

#[tokio::test]
async fn certificates_reload_and_a_broken_one_is_ignored() {
    let (old, new) = (CertificateAuthority::new(), CertificateAuthority::new());
    let app = serve(&old);
    new.sign("server", "127.0.0.1");
    let (knows_old, knows_new) = (client_trusting(&[&old]), client_trusting(&[&new]));
    // First the certificate alone, as while files are being replaced: it does not match the key.
    std::fs::copy(new.file("server.pem"), old.file("server.pem")).unwrap();
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert!(is_served(&knows_old, &app).await);
    std::fs::copy(new.file("server.key"), old.file("server.key")).unwrap();
    let within = Duration::from_secs(10);
    eventually("the new one is served", within, async || {
        is_served(&knows_new, &app).await
    })
    .await;
    // A new client, since a resumed TLS session shows no certificate.
    assert!(!is_served(&client_trusting(&[&old]), &app).await);
}

#[test]
fn a_mismatched_certificate_and_key_are_refused_at_start() {
    let authority = CertificateAuthority::new();
    authority.sign("one", "127.0.0.1");
    authority.sign("other", "127.0.0.1");
    let cases = [
        ("one.pem", "other.key"),
        ("one.key", "one.key"),
        ("one.pem", "one.pem"),
        ("missing.pem", "one.key"),
        ("one.pem", "missing.key"),
    ];
    for (cert, key) in cases {
        let (cert, key) = (authority.path(cert), authority.path(key));
        let error = refusal_to_start(&["--tls-cert", &cert, "--tls-key", &key]);
        assert!(matches!(error, AppError::Tls(_)), "{cert} {key}: {error}");
    }
}

/// A Redis that requires TLS with a client certificate of its authority.
fn start_tls_redis(authority: &CertificateAuthority) -> (RedisServer, u16) {
    authority.sign("redis", "localhost");
    authority.sign("client", "duologue");
    // Redis accepts no port 0, so it gets one that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let redis = RedisServer::start(&[
        "--save",
        "",
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &authority.path("redis.pem"),
        "--tls-key-file",
        &authority.path("redis.key"),
        "--tls-ca-cert-file",
        &authority.path("ca.pem"),
    ]);
    (redis, port)
}

#[tokio::test]
async fn a_tls_redis_accepts_the_right_client_certificate() {
    let authority = CertificateAuthority::new();
    let (redis, port) = start_tls_redis(&authority);
    let url = format!("rediss://localhost:{port}");
    let (ca, cert, key) = (
        authority.path("ca.pem"),
        authority.path("client.pem"),
        authority.path("client.key"),
    );
    let shown = ["--redis-cert", &cert, "--redis-key", &key];
    let trusted = ["--redis-url", &url, "--redis-ca", &ca];
    let app = spawn_app_with(&[&trusted[..], &shown].concat());
    app.send("alice", "bob", "hi").await;
    assert_eq!(app.read("bob", "alice").await["unread_count"], 1);
    let [messages, ..] = keys("alice", "bob");
    let sent: u64 = cmd("LLEN")
        .arg(messages)
        .query(&mut redis.connect())
        .unwrap();
    assert_eq!(sent, 1, "it went there");
}

#[tokio::test]
async fn a_redis_whose_certificate_is_not_trusted_is_not_used() {
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let (_redis, port) = start_tls_redis(&authority);
    let url = format!("rediss://localhost:{port}");
    let elsewhere = format!("rediss://127.0.0.1:{port}");
    let (ca, other_ca) = (authority.path("ca.pem"), stranger.path("ca.pem"));
    let (cert, key) = (authority.path("client.pem"), authority.path("client.key"));
    let mine = ["--redis-cert", cert.as_str(), "--redis-key", &key];
    let cases = [
        ("all is well", &url, [&["--redis-ca", &ca][..], &mine], true),
        (
            "no certificate shown",
            &url,
            [&["--redis-ca", &ca], &[]],
            false,
        ),
        (
            "another authority",
            &url,
            [&["--redis-ca", &other_ca], &mine],
            false,
        ),
        ("the system's authorities", &url, [&[], &mine], false),
        (
            "another name",
            &elsewhere,
            [&["--redis-ca", &ca], &mine],
            false,
        ),
    ];
    for (why, url, settings, expected) in cases {
        // Tests the store alone, because a service would keep waiting for Redis.
        let settings = [&["duologue"][..], &settings.concat()].concat();
        let certificates = Config::read(settings).unwrap().network.redis_certificates();
        let metrics = Arc::new(Metrics::new());
        let store = Store::new(url, certificates.unwrap(), Retention::default(), metrics).unwrap();
        assert_eq!(store.health().await.is_ok(), expected, "{why}");
    }
}
