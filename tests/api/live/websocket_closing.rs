//! How WebSockets end: what the client sends wrong, and who closes when.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::harness::http::raw_connection::exchange;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::Device;
use crate::harness::live::raw_socket::{
    HANDSHAKE, connect_raw, header, masked, read_end, read_text,
};
use crate::harness::metrics::{metric, wait_for_listeners};
use crate::harness::{spawn_app, spawn_app_with};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// What the payload of a close frame is.
fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// An unmasked frame.
fn unmasked() -> Vec<u8> {
    let mut frame = masked(TEXT, b"{}");
    frame[1] &= 0x7f;
    frame
}

#[tokio::test]
async fn a_frame_is_refused_at_its_header() {
    let app = spawn_app();
    let endless = 8 << 30;
    for (frame, code) in [
        (header(TEXT, endless), 1009),
        (header(TEXT, 512 * 1024 + 1), 1009),
        (header(TEXT, u64::MAX), 1009),
        (header(BINARY, endless), 1003),
        (header(PING, 126), 1002),
        (header(PONG, endless), 1002),
        (header(CLOSE, endless), 1002),
        (header(0x80, endless), 1002),
        (header(0x09, 1), 1002),
        (header(TEXT | 0x40, 1), 1002),
        (header(0x83, 1), 1002),
        (header(0x8b, 1), 1002),
        ([masked(0x01, b"{"), header(0x80, endless)].concat(), 1009),
        ([masked(0x01, b"{"), header(TEXT, 1)].concat(), 1002),
        ([masked(0x01, b"{"), header(BINARY, 1)].concat(), 1002),
        (unmasked(), 1002),
    ] {
        let mut stream = connect_raw(&app, "alice").await;
        stream.write_all(&frame).await.unwrap();
        let end = read_end(&mut stream).await;
        assert_eq!(end.code, code, "{frame:x?}");
    }
}

#[tokio::test]
async fn a_text_that_is_not_utf_8_closes_with_1007() {
    let app = spawn_app();
    for text in [
        &b"\xc0\x80"[..],
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"{\xff}",
        b"\xe2\x82",
    ] {
        let in_two = [masked(0x01, &text[..1]), masked(0x80, &text[1..])].concat();
        for frames in [masked(TEXT, text), in_two] {
            let mut stream = connect_raw(&app, "alice").await;
            stream.write_all(&frames).await.unwrap();
            assert_eq!(read_end(&mut stream).await.code, 1007, "{text:x?}");
        }
    }
    // A character may be divided between two frames.
    let mut stream = connect_raw(&app, "alice").await;
    let ping = r#"{"type":"ping","ref":"é"}"#.as_bytes();
    let (one, two) = ping.split_at(ping.len() - 3);
    stream.write_all(&masked(0x01, one)).await.unwrap();
    stream.write_all(&masked(0x80, two)).await.unwrap();
    let _hello = read_text(&mut stream).await;
    let ack = read_text(&mut stream).await;
    let ack: Value = serde_json::from_slice(&ack).unwrap();
    assert_eq!(ack, json!({"type": "ack", "ref": "é"}));
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let app = spawn_app();
    for code in [1000, 1001, 1003, 1007, 1011, 1012, 3000, 3999, 4000, 4999] {
        let mut stream = connect_raw(&app, "alice").await;
        stream.write_all(&closing(code, b"bye")).await.unwrap();
        let end = read_end(&mut stream).await;
        assert_eq!(end.code, code);
        assert!(end.tcp < Duration::from_millis(300), "{end:?}");
    }
    let mut stream = connect_raw(&app, "alice").await;
    stream.write_all(&masked(CLOSE, b"")).await.unwrap();
    assert_eq!(read_end(&mut stream).await.code, 1000);
}

#[tokio::test]
async fn an_invalid_close_frame_is_a_protocol_error() {
    let app = spawn_app();
    let codes = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    let frames = codes.map(|code| (closing(code, b""), 1002));
    let others = [
        (masked(CLOSE, b"\x03"), 1002),
        (closing(1000, b"\xff"), 1007),
        (closing(1000, &[b'x'; 124]), 1002),
    ];
    for (frame, code) in frames.into_iter().chain(others) {
        let mut stream = connect_raw(&app, "alice").await;
        stream.write_all(&frame).await.unwrap();
        assert_eq!(read_end(&mut stream).await.code, code, "{frame:x?}");
    }
}

#[tokio::test]
async fn twenty_refused_messages_close_the_connection() {
    let app = spawn_app();
    for refused in [
        json!({}),
        json!({"type": "typing", "peer": "alice"}),
        json!({"type": "send", "from": "bob", "to": "carol", "body": "x"}),
    ] {
        let mut stream = connect_raw(&app, "alice").await;
        let flood = masked(TEXT, refused.to_string().as_bytes()).repeat(1000);
        let _ = stream.write_all(&flood).await;
        let _hello = read_text(&mut stream).await;
        for _ in 0..20 {
            let answer = read_text(&mut stream).await;
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["type"], "error", "{answer}");
        }
        assert_eq!(read_end(&mut stream).await.code, 1008);
    }
    let errors = metric(&app, "duologue_errors_total{code=\"INVALID_REQUEST\"}").await;
    assert!(
        (errors - 40.0).abs() < 0.1,
        "refusals are counted: {errors}"
    );
}

#[tokio::test]
async fn charged_refusals_do_not_close_the_connection() {
    let app = spawn_app();
    app.flag(reqwest::Method::PUT, "bob", "alice", "block")
        .await;
    let mut alice = Device::connect(&app, "alice").await;
    for _ in 0..30 {
        let answer = alice
            .ask(&json!({"type": "send", "to": "bob", "body": "x"}))
            .await;
        assert_eq!(answer["problem"]["code"], "BLOCKED");
    }
    assert_eq!(alice.ask(&json!({"type": "ping"})).await["type"], "ack");
}

/// Sends pings as fast as the service takes them, and reads the pongs.
async fn flood(stream: TcpStream) {
    let (mut reader, mut writer) = stream.into_split();
    let pings = masked(PING, b"").repeat(10_000);
    let writing = async { while writer.write_all(&pings).await.is_ok() {} };
    let mut sink = tokio::io::sink();
    let reading = tokio::io::copy(&mut reader, &mut sink);
    tokio::join!(writing, reading).1.unwrap();
}

#[tokio::test]
async fn a_flooding_connection_does_not_hold_up_others() {
    let app = spawn_app();
    let floods = [
        connect_raw(&app, "mallory").await,
        connect_raw(&app, "mallory").await,
    ];
    let floods = floods.map(|stream| tokio::spawn(flood(stream)));
    sleep(Duration::from_millis(200)).await;
    let mut alice = Device::connect(&app, "alice").await;
    let asking = async {
        for _ in 0..50 {
            assert_eq!(alice.ask(&json!({"type": "ping"})).await["type"], "ack");
        }
    };
    timeout(Duration::from_secs(5), asking)
        .await
        .expect("100 ms for each");
    for flood in floods {
        flood.abort();
    }
}

#[tokio::test]
async fn a_ping_without_a_ref_is_answered() {
    let app = spawn_app();
    let mut stream = connect_raw(&app, "alice").await;
    let _hello = read_text(&mut stream).await;
    stream
        .write_all(&masked(TEXT, br#"{"type":"ping"}"#))
        .await
        .unwrap();
    let ack = read_text(&mut stream).await;
    assert_eq!(ack, br#"{"type":"ack"}"#);
}

#[tokio::test]
async fn an_invalid_handshake_says_what_is_wrong() {
    let app = spawn_app();
    let asked = |headers: &str| {
        let request = format!("GET /ws?user=bob HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        exchange(&app.address, request)
    };
    let version = "sec-websocket-version: 13\r\n";
    for other in [
        "",
        "sec-websocket-version: 8\r\n",
        "sec-websocket-version: 14\r\n",
    ] {
        let answer = asked(&HANDSHAKE.replace(version, other));
        answer.problem(426, "UPGRADE_REQUIRED");
        assert_eq!(answer.header("sec-websocket-version"), "13", "{other}");
    }
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for other in [
        "",
        "sec-websocket-key: short\r\n",
        "sec-websocket-key: \r\n",
    ] {
        let answer = asked(&HANDSHAKE.replace(key, other));
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field("/header/sec-websocket-key");
    }
    asked(&HANDSHAKE.replace("upgrade: websocket", "upgrade: h2c"))
        .problem(426, "UPGRADE_REQUIRED");
    asked(&HANDSHAKE.replace("connection: upgrade", "connection: close"))
        .problem(426, "UPGRADE_REQUIRED");
}

#[tokio::test]
async fn the_oldest_connection_of_a_user_gives_way() {
    let app = spawn_app_with(&["--connections-per-user=2"]);
    let mut oldest = Device::connect(&app, "alice").await;
    let mut second = Device::connect(&app, "alice").await;
    let mut third = Device::connect(&app, "alice").await;
    assert_eq!(oldest.wait_closed().await, (4409, "replaced".into()));
    let poll = app.get("/events?user=alice&wait=0").await;
    assert_eq!(poll.status, 200, "it does not wait, and takes no place");
    let mut fourth = Device::connect(&app, "alice").await;
    assert_eq!(second.wait_closed().await, (4409, "replaced".into()));
    for device in [&mut third, &mut fourth] {
        assert_eq!(device.ask(&json!({"type": "ping"})).await["type"], "ack");
    }
    let other = Device::connect(&app, "bob").await;
    assert_eq!(other.hello["user"], "bob");
}

#[tokio::test]
async fn connections_that_cannot_end_are_limited_too() {
    let app = spawn_app_with(&["--connections-per-user=1"]);
    // It takes nothing, so that what ends it cannot be sent.
    let _stuck = connect_raw(&app, "bob").await;
    wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
    let body = "語".repeat(8_000);
    for _ in 0..300 {
        app.send("alice", "bob", &body).await;
    }
    let _second = Device::connect(&app, "bob").await;
    let refused = ConnectOptions::new(&app.address)
        .user("bob")
        .expect_refusal()
        .await;
    refused.problem(429, "TOO_MANY_CONNECTIONS");
    assert_eq!(refused.header("retry-after"), "1");
}
