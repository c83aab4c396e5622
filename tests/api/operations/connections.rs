//! Connections: time limits, their maximum number, and other versions of HTTP.

use std::time::{Duration, Instant};

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::http::raw_connection::{RawConnection, exchange, post};
use crate::harness::{TestApp, spawn_app, spawn_app_with};

const PROBE: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection on which one request was answered.
fn used(app: &TestApp) -> RawConnection {
    let mut connection = RawConnection::open(&app.address);
    connection.write(PROBE);
    assert_eq!(connection.answer().unwrap().status, 200);
    connection
}

/// Sends bytes one by one, and returns how long the connection takes them.
fn drip(mut connection: RawConnection, head: &str) -> Duration {
    let begun = Instant::now();
    for byte in head.bytes().chain(std::iter::repeat(b'x')) {
        if begun.elapsed() > Duration::from_secs(15) || !connection.write([byte]) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    begun.elapsed()
}

#[test]
fn the_headers_of_later_requests_time_out_too() {
    let app = spawn_app();
    let head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: ";
    let mut in_one = used(&app);
    let mut early = RawConnection::open(&app.address);
    early.write(format!("{PROBE}GET /heal"));
    assert_eq!(early.answer().unwrap().status, 200);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (connection, head) in [
            (used(&app), head),
            (used(&app), "\r\n"),
            (early, "thz HTTP/1.1\r\nx: "),
        ] {
            scope.spawn(|| {
                let taken = drip(connection, head);
                assert!(taken > Duration::from_secs(4), "{taken:?}");
                assert!(taken < Duration::from_secs(9), "{taken:?}");
            });
        }
        in_one.write(head);
        assert!(in_one.answer().is_none(), "closed without an answer");
        assert!(begun.elapsed() < Duration::from_secs(9));
    });
}

#[test]
fn the_address_of_metrics_has_the_same_limits() {
    let app = spawn_app_with(&["--metrics-bind", "127.0.0.1:0"]);
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut connections = [0, 1].map(|_| RawConnection::open(app.metrics.as_ref().unwrap()));
    for connection in &mut connections {
        connection.write(request);
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    let [mut idle, slow] = connections;
    let taken = drip(slow, "GET /metrics HTTP/1.1\r\nx-long: ");
    assert!(taken < Duration::from_secs(9), "{taken:?}");
    idle.write(request);
    assert_eq!(idle.answer().unwrap().status, 200);
}

#[test]
fn idle_and_waiting_connections_are_kept() {
    let app = spawn_app();
    let (mut idle, mut waiting) = (used(&app), used(&app));
    waiting.write("GET /events?user=bob&wait=8 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    // The next request arrives before the answer to this one.
    waiting.write(PROBE);
    std::thread::sleep(Duration::from_secs(7));
    idle.write(PROBE);
    assert_eq!(idle.answer().unwrap().status, 200);
    assert!(waiting.answer().unwrap().text.contains("next_cursor"));
    assert_eq!(waiting.answer().unwrap().status, 200);
}

#[test]
fn a_request_to_upgrade_to_http_2_is_an_ordinary_one() {
    let app = spawn_app();
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: h2c\r\n",
        "upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nconnection:  http2-settings , UPGRADE \r\n",
    ] {
        let mut connection = RawConnection::open(&app.address);
        let request = PROBE.replace("host:", &format!("{upgrade}host:"));
        for request in [&*request, &request, PROBE, PROBE] {
            connection.write(request);
            let answer = connection
                .answer()
                .expect("an answer on the same connection");
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("connection"), "");
        }
    }
}

#[test]
fn a_body_that_names_http_2_is_left_alone() {
    let app = spawn_app();
    let text = "Connection: Upgrade, HTTP2-Settings";
    let body = format!(r#"{{"from":"alice","to":"bob","body":"\n{text}\n"}}"#);
    let sent = exchange(&app.address, post(&body));
    assert_eq!(sent.status, 201);
    assert!(sent.text.contains(text), "{}", sent.text);
}

#[test]
fn http_1_0_gets_no_chunks() {
    let app = spawn_app();
    let stream = "GET /events?user=bob HTTP/1.0\r\naccept: text/event-stream\r\n\r\n";
    let mut connection = RawConnection::open(&app.address);
    connection.write(stream);
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), "");
    assert_eq!(head.header("content-length"), "");
    assert!(connection.line().starts_with("retry: "));
    assert!(connection.line().starts_with("id: "));
    assert!(connection.line().starts_with("data: {\"type\":\"hello\""));
    let probe = exchange(&app.address, "GET /healthz HTTP/1.0\r\n\r\n");
    assert!(!probe.text.is_empty(), "a body with a length");
    let socket = "GET /ws?user=bob HTTP/1.0\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    exchange(&app.address, socket).problem(426, "UPGRADE_REQUIRED");
}

#[test]
fn idle_connections_make_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let service = ServiceProcess::start_under_shell(dir.path(), "ulimit -n 256");
    let silent: Vec<_> = (0..300)
        .map(|_| RawConnection::open(&service.address))
        .collect();
    let request = post(r#"{"from":"alice","to":"bob","body":"hi"}"#);
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(exchange(&service.address, &request).status, 201);
        assert_eq!(exchange(&service.address, PROBE).status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    drop(silent);
}

#[test]
fn probes_are_answered_when_every_connection_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let service = ServiceProcess::start_under_shell(dir.path(), "ulimit -n 256");
    let mut busy = Vec::new();
    for number in 0..150 {
        let mut connection = RawConnection::open(&service.address);
        connection.write(format!(
            "GET /events?user=u{number}&wait=30 HTTP/1.1\r\nhost: localhost\r\n\r\n"
        ));
        busy.push(connection);
        // Until its request has arrived, a connection counts as idle and makes room for the probe.
        std::thread::sleep(Duration::from_millis(20));
        if exchange(&service.address, PROBE).header("connection") == "close" {
            break;
        }
    }
    assert!((50..150).contains(&busy.len()), "{}", busy.len());
    let refused = exchange(
        &service.address,
        PROBE.replace("/healthz", "/users/bob/unread"),
    );
    refused.problem(503, "BUSY");
    assert_eq!(refused.header("connection"), "close");
    assert_eq!(refused.header("retry-after"), "1");
    for _ in 0..10 {
        assert_eq!(exchange(&service.address, PROBE).status, 200);
    }
    busy.pop();
    busy.pop();
    std::thread::sleep(Duration::from_millis(500));
    let unread = PROBE.replace("/healthz", "/users/bob/unread");
    assert_eq!(exchange(&service.address, unread).status, 200);
}
