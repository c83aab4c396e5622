//! WebSocket frames: sizes, types, fragments, pings.

use std::time::Duration;

use duologue::model::limits;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::harness::live::device::Device;
use crate::harness::{spawn_app, spawn_app_with};

#[tokio::test]
async fn oversized_and_binary_frames_close_the_connection() {
    let app = spawn_app();
    let large = "x".repeat(limits::REQUEST + 1);
    for (message, code) in [
        (Message::text(large), 1009),
        (Message::binary(vec![1, 2, 3]), 1003),
    ] {
        let mut device = Device::connect(&app, "alice").await;
        let _ = device.send_raw(message).await;
        assert_eq!(device.wait_closed().await.0, code);
    }
    // The largest message that HTTP accepts, in one frame.
    let mut device = Device::connect(&app, "alice").await;
    let body = "x".repeat(8_000);
    assert_eq!(device.send("bob", &body).await["body"], json!(body));
}

#[tokio::test]
async fn a_client_gets_heartbeats_and_its_own_pings_back() {
    let app = spawn_app_with(&["--heartbeat=1"]);
    let mut device = Device::connect(&app, "alice").await;
    assert_eq!(device.hello["heartbeat_s"], 1);
    // The client answers pings and stays connected for several heartbeats.
    assert!(
        device
            .events_within(Duration::from_secs(4))
            .await
            .is_empty()
    );
    assert_eq!(device.ask(&json!({"type": "ping"})).await["type"], "ack");
}

/// A fragment of a text message: the first, or a continuation.
fn fragment(first: bool, text: &str, last: bool) -> Message {
    let kind = if first { Data::Text } else { Data::Continue };
    Message::Frame(Frame::message(text.to_owned(), OpCode::Data(kind), last))
}

#[tokio::test]
async fn fragmented_messages_with_interleaved_pings_are_accepted() {
    let app = spawn_app();
    let mut device = Device::connect(&app, "alice").await;
    let frame = json!({"type": "ping", "ref": "whole"}).to_string();
    let (one, rest) = frame.split_at(5);
    let (two, three) = rest.split_at(5);
    device.send_raw(fragment(true, one, false)).await.unwrap();
    device.send_raw(Message::Ping("hm".into())).await.unwrap();
    device.send_raw(fragment(false, two, false)).await.unwrap();
    device.send_raw(fragment(false, three, true)).await.unwrap();
    assert_eq!(device.next().await["ref"], "whole");
    // Fragments out of sequence, or too large in total.
    let (out_of_turn, endless) = (1002, 1009);
    let large = "x".repeat(limits::REQUEST / 2 + 1);
    let cases = [
        (vec![fragment(false, "late", true)], out_of_turn),
        (
            vec![fragment(true, "a", false), fragment(true, "b", true)],
            out_of_turn,
        ),
        (
            vec![fragment(true, "a", false), Message::text("b")],
            out_of_turn,
        ),
        (
            vec![fragment(true, &large, false), fragment(false, &large, true)],
            endless,
        ),
    ];
    for (parts, code) in cases {
        let mut device = Device::connect(&app, "alice").await;
        for part in parts {
            let _ = device.send_raw(part).await;
        }
        assert_eq!(device.wait_closed().await.0, code);
    }
}
