//! Settings: `--help`, and the settings, data and servers with which the service refuses to start.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use duologue::app::AppError;
use redis::cmd;

use crate::harness::cli::service_process::{ServiceProcess, command, output};
use crate::harness::refusal_to_start;
use crate::harness::store::redis_server::{RedisServer, embedded_url};

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

#[test]
fn a_second_service_in_the_same_data_dir_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = ServiceProcess::start(dir.path());
    let said = startup_error(&[("DUOLOGUE_DATA_DIR", dir.path().to_str().unwrap())]);
    assert!(
        said.contains("used by another Duologue (DUOLOGUE_DATA_DIR)"),
        "{said}"
    );
    let url = embedded_url(dir.path());
    let alive =
        cmd("PING").query::<String>(&mut crate::harness::store::redis_server::connect(&url));
    assert_eq!(alive.unwrap(), "PONG", "the first service keeps running");
    drop(first);
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
            "a file instead of a directory",
            "DUOLOGUE_DATA_DIR",
            file.to_str().unwrap(),
        ),
        ("a folder in a file", "DUOLOGUE_DATA_DIR", "/dev/null/data"),
        (
            "an address in use",
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
            "4,128",
            "4,128, and this version of Duologue needs 5,256",
        ),
        (
            "dm:store",
            "3,256",
            "3,256, and this version of Duologue needs 5,256",
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
    let error = refusal_to_start(&["--redis-url", &embedded_url(dir.path())]);
    assert!(
        matches!(&error, AppError::OldRedis(version) if version == "6.2.14"),
        "{error}"
    );
    assert!(error.to_string().contains("7.0"), "{error}");
}
