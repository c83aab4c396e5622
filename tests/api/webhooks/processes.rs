//! Processes that are stopped or killed while they send, and what they reveal.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::auth::certificate_authority::CertificateAuthority;
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::webhooks::{Reaction, Receiver};
use crate::harness::{client, eventually};

async fn subscribe(service: &ServiceProcess, url: &str) -> String {
    let path = format!("{}/subscriptions/hook", service.address);
    let settings = json!({"url": url, "types": ["message.created"]});
    let made = client().put(path).json(&settings).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    made["secret"].as_str().unwrap().to_owned()
}

async fn send(service: &ServiceProcess, to: &str, text: &str) {
    let message = json!({"from": "alice", "to": to, "body": text});
    let request = client()
        .post(format!("{}/messages", service.address))
        .json(&message);
    assert_eq!(request.send().await.unwrap().status(), 201);
}

async fn is_taken(service: &ServiceProcess) -> bool {
    let path = format!("{}/subscriptions/hook", service.address);
    let state: Value = client()
        .get(path)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    state["lag"] == 0 && state["pending"] == 0
}

#[tokio::test]
async fn another_process_sends_what_a_killed_one_did_not() {
    let (redis, receiver) = (RedisServer::volatile(), Receiver::start());
    let url = redis.url();
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let settings = [("DUOLOGUE_REDIS_URL", url.as_str())];
    let killed = ServiceProcess::start_with(one.path(), &settings);
    subscribe(&killed, &receiver.url()).await;
    send(&killed, "bob", "first").await;
    receiver.wait_for(1).await;
    let survivor = ServiceProcess::start_with(other.path(), &settings);
    receiver.react(|_| Reaction::Late(Duration::from_secs(3), 200));
    for n in 0..10 {
        send(&killed, &format!("user-{}", n % 5), &n.to_string()).await;
    }
    receiver.wait_for(4).await;
    killed.signal(Signal::KILL);
    receiver.answer(200);
    let taken = async || is_taken(&survivor).await;
    eventually("another process sends it", Duration::from_secs(30), taken).await;
    let texts: BTreeSet<_> = receiver.texts().into_iter().collect();
    assert_eq!(texts.len(), 11, "{texts:?}");
}

#[tokio::test]
async fn a_stopped_process_waits_for_answers_and_gives_way_at_once() {
    let (redis, receiver) = (RedisServer::volatile(), Receiver::start());
    let url = redis.url();
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let settings = [("DUOLOGUE_REDIS_URL", url.as_str())];
    let mut stopped = ServiceProcess::start_with(one.path(), &settings);
    subscribe(&stopped, &receiver.url()).await;
    send(&stopped, "bob", "first").await;
    receiver.wait_for(1).await;
    let next = ServiceProcess::start_with(other.path(), &settings);
    receiver.react(|_| Reaction::Late(Duration::from_secs(1), 200));
    send(&stopped, "bob", "in progress").await;
    receiver.wait_for(2).await;
    stopped.signal(Signal::TERM);
    assert!(stopped.wait_for_exit(Duration::from_secs(10)).success());
    let ended = Instant::now();
    send(&next, "bob", "after").await;
    let requests = receiver.wait_for(3).await;
    assert_eq!(
        receiver.texts(),
        ["first", "in progress", "after"],
        "each once"
    );
    let waited = requests[2].at - ended;
    assert!(waited < Duration::from_secs(6), "{waited:?}");
}

#[tokio::test]
async fn no_secret_is_in_the_log_or_the_metrics() {
    let (dir, receiver) = (tempfile::tempdir().unwrap(), Receiver::start());
    let log = dir.path().join("log");
    let settings = [("DUOLOGUE_LOG", "trace")];
    let service = ServiceProcess::start_logged(dir.path(), &settings, &log);
    receiver.answer(500);
    let secret = subscribe(&service, &receiver.url()).await;
    send(&service, "bob", "hunter2").await;
    receiver.wait_for(2).await;
    receiver.answer(200);
    let taken = async || is_taken(&service).await;
    eventually("it is taken", Duration::from_secs(30), taken).await;
    let metrics = client().get(format!("{}/metrics", service.address)).send();
    let metrics = metrics.await.unwrap().text().await.unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    for text in [metrics, log] {
        let key = secret.strip_prefix("whsec_").unwrap();
        assert!(!text.contains(key));
        assert!(!text.contains("hunter2"));
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    let authority = CertificateAuthority::new();
    let receiver = Receiver::start_tls(&authority, "localhost");
    let dir = tempfile::tempdir().unwrap();
    let file = authority.path("ca.pem");
    let settings = [("SSL_CERT_FILE", file.as_str())];
    let service = ServiceProcess::start_with(dir.path(), &settings);
    let url = format!("https://localhost:{}/events", receiver.port);
    let secret = subscribe(&service, &url).await;
    send(&service, "bob", "over TLS").await;
    let request = receiver.wait_for(1).await.remove(0);
    assert!(request.verifies(&secret));
}
