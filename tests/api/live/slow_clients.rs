//! Clients that read too slowly, do not read at all, or disappear without closing.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::harness::http::raw_connection::{pipeline, post};
use crate::harness::live::device::Device;
use crate::harness::live::raw_socket::connect_raw;
use crate::harness::metrics::{metric, wait_for_listeners};
use crate::harness::{TestApp, spawn_app, spawn_app_with};

/// Large messages: more than any buffer on the way holds, but no more than the journal.
const LARGE: usize = 400;
/// Messages queued at once, about half of the limit.
const BATCH: usize = 20;

/// Sends large messages to bob in batches, each after `received` has the one before.
async fn send_large(app: &TestApp, mut received: impl AsyncFnMut()) {
    let body = "語".repeat(8_000);
    let message = post(json!({"from": "alice", "to": "bob", "body": body}).to_string());
    for _ in 0..LARGE / BATCH {
        for answer in pipeline(&app.address, &vec![message.clone(); BATCH]) {
            assert_eq!(answer.status, 201);
        }
        received().await;
    }
}

#[tokio::test]
async fn a_slow_client_is_closed_and_loses_nothing() {
    let app = spawn_app();
    let slow = connect_raw(&app, "bob").await;
    let mut quick = Device::connect(&app, "bob").await;
    send_large(&app, async || {
        for _ in 0..BATCH {
            quick.next().await;
        }
    })
    .await;
    // It reads on: the events in flight, then the reason for the close.
    let mut slow = WebSocketStream::from_raw_socket(slow, Role::Client, None).await;
    let (mut place, mut told) = (Value::Null, 0);
    let end = loop {
        let message = timeout(Duration::from_secs(20), slow.next()).await.unwrap();
        match message.unwrap().unwrap() {
            Message::Text(text) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                if event["type"] != "hello" {
                    assert_eq!(event["prev"], place, "no gap before the end");
                    told += 1;
                }
                place = event["cursor"].clone();
            }
            Message::Close(end) => break end.unwrap(),
            _ => (),
        }
    };
    assert_eq!((u16::from(end.code), &*end.reason), (4408, "slow_consumer"));
    // System buffers hold up to about 4 MiB and the service a bit more than 1 MiB; 9 MiB were sent.
    assert!(told < LARGE * 3 / 4, "{told} were kept for it");
    let cut = metric(&app, "duologue_slow_consumers_total").await;
    assert!((cut - 1.0).abs() < 0.1, "the other one was not cut: {cut}");
    // It reads faster now and gets the rest.
    let mut back = Device::connect_at(&app, "bob", place.as_str().unwrap()).await;
    for _ in told..LARGE {
        let event = back.next().await;
        assert_eq!(event["prev"], place);
        assert_eq!(event["type"], "message.created");
        place = event["cursor"].clone();
    }
    app.send("alice", "bob", "live").await;
    for device in [&mut back, &mut quick] {
        assert_eq!(device.next().await["message"]["body"], "live");
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let app = spawn_app_with(&["--heartbeat=1", "--connections-per-user=1"]);
    let _stuck = connect_raw(&app, "bob").await;
    wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
    send_large(&app, async || ()).await;
    wait_for_listeners(&app, 0, Duration::from_secs(20)).await;
    Device::connect(&app, "bob").await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let app = spawn_app_with(&["--heartbeat=1", "--connections-per-user=1"]);
    let mut silent = connect_raw(&app, "bob").await;
    wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
    let mut lively = Device::connect(&app, "alice").await;
    let mut received = Vec::new();
    let end = silent.read_to_end(&mut received);
    let waiting = async {
        // A client that answers stays connected for longer than that.
        let events = lively.events_within(Duration::from_secs(5)).await;
        assert_eq!(events, [] as [Value; 0]);
    };
    let (end, ()) = tokio::join!(timeout(Duration::from_secs(10), end), waiting);
    end.unwrap().unwrap();
    assert!(
        received.ends_with(&[0x89, 0]),
        "the last it heard is a ping"
    );
    wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
    let back = Device::connect(&app, "bob").await;
    assert_eq!(back.hello["user"], "bob");
    assert_eq!(lively.ask(&json!({"type": "ping"})).await["type"], "ack");
}
