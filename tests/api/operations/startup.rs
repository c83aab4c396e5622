//! Starting, refusing to start, and stopping, as a process.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use duologue::app::AppError;
use redis::cmd;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::cli::service_process::{ServiceProcess, command, output};
use crate::harness::http::raw_connection::RawConnection;
use crate::harness::http::response::ApiResponse;
use crate::harness::store::redis_server::{RedisServer, pid_of, runs, signal_pid};
use crate::harness::{client, eventually, refusal_to_start};

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

fn redis_url(dir: &Path) -> String {
    format!("unix://{}/redis.sock", dir.display())
}

/// Standard error of a service that refuses to start.
fn startup_error(settings: &[(&str, &str)]) -> String {
    let mut command = command();
    command.envs(settings.iter().copied());
    let output = output(&mut command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success(),
        "it should not start with {settings:?}"
    );
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[tokio::test]
async fn ctrl_c_stops_service_and_redis_and_keeps_messages() {
    let dir = tempfile::tempdir().unwrap();
    for (round, signal) in [Some(Signal::INT), Some(Signal::TERM), None]
        .iter()
        .enumerate()
    {
        let mut service = ServiceProcess::start(dir.path());
        let redis = pid_of(&redis_url(dir.path()));
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

#[tokio::test]
async fn killing_the_service_ends_its_redis_and_keeps_messages() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut service = ServiceProcess::start(dir.path());
        let redis = pid_of(&redis_url(dir.path()));
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
    let url = redis_url(dir.path());
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

#[test]
fn a_second_service_in_the_same_data_dir_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = ServiceProcess::start(dir.path());
    let said = startup_error(&[("DUOLOGUE_DATA_DIR", dir.path().to_str().unwrap())]);
    assert!(
        said.contains("used by another Duologue (DUOLOGUE_DATA_DIR)"),
        "{said}"
    );
    let url = redis_url(dir.path());
    let alive =
        cmd("PING").query::<String>(&mut crate::harness::store::redis_server::connect(&url));
    assert_eq!(alive.unwrap(), "PONG", "the first one is left alone");
    drop(first);
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

#[test]
fn a_missing_redis_server_is_reported_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_str().unwrap();
    let said = startup_error(&[("PATH", empty), ("DUOLOGUE_DATA_DIR", empty)]);
    for word in ["redis-server", "apt-get install", "DUOLOGUE_REDIS_URL"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn an_invalid_setting_is_refused_and_names_its_variable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases = [
        ("no address", "DUOLOGUE_BIND", "nonsense"),
        ("a port past all ports", "DUOLOGUE_BIND", "127.0.0.1:70000"),
        ("no port", "DUOLOGUE_BIND", "127.0.0.1"),
        ("a port that is taken", "DUOLOGUE_BIND", &taken),
        (
            "a file for a folder",
            "DUOLOGUE_DATA_DIR",
            file.to_str().unwrap(),
        ),
        ("a folder in a file", "DUOLOGUE_DATA_DIR", "/dev/null/data"),
        (
            "the address of something else",
            "DUOLOGUE_REDIS_URL",
            "http://127.0.0.1:6379",
        ),
        ("no URL", "DUOLOGUE_REDIS_URL", "localhost:6379"),
        ("an unknown word", "DUOLOGUE_FSYNC", "sometimes"),
        ("no filter", "DUOLOGUE_LOG", "duologue=loud"),
        ("no worker", "DUOLOGUE_WORKERS", "0"),
        ("workers in words", "DUOLOGUE_WORKERS", "many"),
    ];
    for (reason, variable, value) in cases {
        let mut settings = vec![("DUOLOGUE_DATA_DIR", dir.path().to_str().unwrap())];
        settings.push((variable, value));
        let said = startup_error(&settings);
        assert!(said.contains(variable), "{reason}: {said}");
    }
}

#[test]
fn help_lists_every_variable() {
    let output = output(command().arg("--help"));
    let help = String::from_utf8(output.stdout).unwrap();
    for name in ["BIND", "DATA_DIR", "REDIS_URL", "FSYNC", "LOG", "WORKERS"] {
        assert!(help.contains(&format!("DUOLOGUE_{name}")), "{name}");
    }
}

#[test]
fn a_password_in_the_redis_url_is_not_printed() {
    let said = startup_error(&[("DUOLOGUE_REDIS_URL", "redis://:hunter2@127.0.0.1:1/x/y")]);
    let help = output(
        command()
            .env("DUOLOGUE_REDIS_URL", "redis://:hunter2@h")
            .arg("--help"),
    );
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        !said.contains("hunter2") && !help.contains("hunter2"),
        "{said}{help}"
    );
}

#[test]
fn a_store_of_another_format_or_partition_count_is_refused() {
    let cases = [
        (
            "dm:store",
            "2,128",
            "2,128, and this version of Duologue needs 2,256",
        ),
        (
            "dm:store",
            "3,256",
            "3,256, and this version of Duologue needs 2,256",
        ),
        (
            "dm:partitions",
            "256",
            "earlier version of Duologue (format 1)",
        ),
    ];
    for (key, value, said) in cases {
        let redis = RedisServer::volatile();
        let mut set = cmd("SET");
        set.arg(key).arg(value).exec(&mut redis.connect()).unwrap();
        let error = refusal_to_start(&["--redis-url", &redis.url()]).to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// A fake Redis that answers only what the version check asks, since tests have no old Redis.
fn old_redis(listener: &UnixListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        std::thread::spawn(move || {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for word in lines.map_while(Result::ok) {
                let info = "redis_version:6.2.14\r\nrole:master\r\n";
                let reply = match word.as_str() {
                    "HELLO" => "%1\r\n+proto\r\n:3\r\n".to_owned(),
                    "CLIENT" => "+OK\r\n".to_owned(),
                    "CONFIG" => "-NOPERM\r\n".to_owned(),
                    "INFO" => format!("${}\r\n{info}\r\n", info.len()),
                    _ => continue,
                };
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
}

#[test]
fn an_outdated_redis_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || old_redis(&listener));
    let error = refusal_to_start(&["--redis-url", &redis_url(dir.path())]);
    assert!(
        matches!(&error, AppError::OldRedis(version) if version == "6.2.14"),
        "{error}"
    );
    assert!(error.to_string().contains("7.0"), "{error}");
}
