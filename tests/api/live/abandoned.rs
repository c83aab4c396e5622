//! Polls and event streams of clients that disconnect without waiting for the end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::metrics::wait_for_listeners;
use crate::harness::{TestApp, eventually, spawn_app_with};

/// Time limit for the service to notice that a client has disconnected.
const NOTICED: Duration = Duration::from_secs(3);

/// Sends a request without reading the response.
async fn start(app: &TestApp, path: &str, headers: &str) -> TcpStream {
    let address = app.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn is_online(app: &TestApp) -> bool {
    let presence = app.get("/users/bob/presence").await.json(200);
    presence["online"] == true
}

#[tokio::test]
async fn abandoned_polls_end_at_once() {
    let app = spawn_app_with(&["--heartbeat=25"]);
    let mut polls = Vec::new();
    for _ in 0..20 {
        polls.push(start(&app, "/events?user=bob&wait=30", "").await);
    }
    wait_for_listeners(&app, 20, Duration::from_secs(10)).await;
    drop(polls);
    wait_for_listeners(&app, 0, NOTICED).await;
}

#[tokio::test]
async fn abandoned_event_streams_end_at_once() {
    let app = spawn_app_with(&["--heartbeat=25"]);
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(start(&app, "/events?user=bob", "accept: text/event-stream\r\n").await);
    }
    wait_for_listeners(&app, 20, Duration::from_secs(10)).await;
    eventually("online", NOTICED, async || is_online(&app).await).await;
    drop(streams);
    wait_for_listeners(&app, 0, NOTICED).await;
    let gone = Duration::from_secs(6);
    eventually("offline", gone, async || !is_online(&app).await).await;
}

#[tokio::test]
async fn a_client_that_only_stops_sending_gets_its_answer() {
    let app = spawn_app_with(&["--heartbeat=25"]);
    let mut poll = start(&app, "/events?user=bob&wait=30", "").await;
    poll.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(NOTICED, poll.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("next_cursor"), "{answer}");
}
