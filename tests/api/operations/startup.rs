//! Starting and stopping the service, as a process.

use std::time::{Duration, Instant};

use redis::cmd;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::http::raw_connection::RawConnection;
use crate::harness::http::response::ApiResponse;
use crate::harness::store::redis_server::{embedded_url, pid_of, runs, signal_pid};
use crate::harness::{client, eventually};

async fn send(service: &ServiceProcess, body: &str) -> Value {
    let message = json!({"from": "alice", "to": "bob", "body": body});
    let request = client()
        .post(format!("{}/messages", service.address))
        .json(&message);
    ApiResponse::read(request.send().await.unwrap())
        .await
        .json(201)
}

async fn peek(service: &ServiceProcess) -> Value {
    let url = format!("{}/conversations/bob/alice?peek=true", service.address);
    ApiResponse::read(client().get(url).send().await.unwrap())
        .await
        .json(200)
}

#[tokio::test]
async fn ctrl_c_stops_service_and_redis_and_keeps_messages() {
    let dir = tempfile::tempdir().unwrap();
    for (round, signal) in [
        Some(Signal::INT),
        Some(Signal::TERM),
        Some(Signal::HUP),
        None,
    ]
    .iter()
    .enumerate()
    {
        let mut service = ServiceProcess::start(dir.path());
        let redis = pid_of(&embedded_url(dir.path()));
        assert_eq!(peek(&service).await["unread_count"], round);
        send(&service, "hi").await;
        match signal {
            Some(signal) => service.signal(*signal),
            None => service.interrupt_group(),
        }
        assert!(service.wait_for_exit(Duration::from_secs(5)).success());
        assert!(!runs(redis), "Redis is stopped with it");
    }
}

#[test]
fn idle_connections_do_not_delay_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = ServiceProcess::start(dir.path());
    let mut connections = [
        RawConnection::open(&service.address),
        RawConnection::open(&service.address),
    ];
    connections[0].write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(connections[0].answer().unwrap().status, 200);
    let begun = Instant::now();
    service.signal(Signal::INT);
    assert!(service.wait_for_exit(Duration::from_secs(20)).success());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

/// A request with an incomplete body. A service that stops waits for the rest.
fn endless_request(service: &ServiceProcess) -> RawConnection {
    let mut connection = RawConnection::open(&service.address);
    connection.write(
        "POST /messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\n\r\n{",
    );
    // Once the service answers a later request, it has read this one.
    let mut probe = RawConnection::open(&service.address);
    probe.write("GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    probe.answer().unwrap();
    connection
}

#[test]
fn a_second_ctrl_c_ends_the_service_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = ServiceProcess::start(dir.path());
    let _request = endless_request(&service);
    let begun = Instant::now();
    service.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(500));
    service.signal(Signal::INT);
    let status = service.wait_for_exit(Duration::from_secs(20));
    assert_eq!(status.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_hangup_is_ignored_under_nohup() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = ServiceProcess::start_under_shell(dir.path(), "trap '' HUP");
    service.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(500));
    let mut probe = RawConnection::open(&service.address);
    probe.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(probe.answer().unwrap().status, 200);
    drop(probe);
    service.signal(Signal::TERM);
    assert!(service.wait_for_exit(Duration::from_secs(20)).success());
}

#[tokio::test]
async fn killing_the_service_ends_its_redis_and_keeps_messages() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut service = ServiceProcess::start(dir.path());
        let redis = pid_of(&embedded_url(dir.path()));
        assert_eq!(peek(&service).await["unread_count"], round);
        send(&service, "hi").await;
        service.signal(Signal::KILL);
        service.wait_for_exit(Duration::from_secs(5));
        // The next start does not wait for the old Redis; the last one is waited for here.
        if round == 2 {
            eventually("no orphan is left", Duration::from_secs(5), async || {
                !runs(redis)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn an_embedded_redis_that_keeps_dying_ends_the_service() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = ServiceProcess::start(dir.path());
    send(&service, "hi").await;
    let begun = Instant::now();
    let url = embedded_url(dir.path());
    let client = redis::Client::open(url.clone()).unwrap();
    for _ in 0..5 {
        let there = async || {
            client
                .get_connection()
                .is_ok_and(|mut c| cmd("PING").exec(&mut c).is_ok())
        };
        eventually("it is started again", Duration::from_secs(5), there).await;
        signal_pid(pid_of(&url), Signal::KILL);
    }
    assert!(!service.wait_for_exit(Duration::from_secs(20)).success());
    assert!(begun.elapsed() < Duration::from_secs(25));
    assert_eq!(
        peek(&ServiceProcess::start(dir.path())).await["unread_count"],
        1
    );
}

#[tokio::test]
async fn a_folder_with_a_very_long_path_works() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(120)).join("y".repeat(120));
    for round in 0..2 {
        let mut service = ServiceProcess::start(&long);
        assert_eq!(peek(&service).await["unread_count"], round);
        send(&service, "hi").await;
        service.signal(Signal::INT);
        assert!(service.wait_for_exit(Duration::from_secs(5)).success());
    }
    assert!(
        long.join("appendonlydir").is_dir(),
        "the data are where they should be"
    );
}

#[test]
fn the_data_dir_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let _service = ServiceProcess::start(&data);
    for entry in std::fs::read_dir(&data).unwrap() {
        let (path, mode) = entry
            .map(|e| (e.path(), e.metadata().unwrap().permissions().mode()))
            .unwrap();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o077, 0);
}
