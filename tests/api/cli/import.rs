//! `duologue import`: repeating it, refused lines, and batches that adapt to the connection.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::cli::service_process;
use crate::harness::import::{lines, ndjson};
use crate::harness::metrics::metric;
use crate::harness::store::redis_proxy::RedisProxy;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};

/// Runs `duologue import` on a file of lines: whether it succeeded, its output and its errors.
fn run_import(address: &str, text: &str) -> (bool, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    std::fs::write(&file, text).unwrap();
    let mut command = service_process::command();
    command.arg("import").arg(&file).args(["--url", address]);
    let output = service_process::output(&mut command);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), out.trim().to_owned(), err)
}

/// Lines with different times and bodies that end in this text.
fn spread(count: usize, text: &str) -> Vec<Value> {
    let mut all = lines(count);
    for (n, line) in all.iter_mut().enumerate() {
        line["sent_at"] = json!(format!("2019-01-31T00:00:00.{n:06}Z"));
        line["body"] = json!(format!("{n} {text}"));
    }
    all
}

/// How many batches the service has answered with this status.
async fn batches(app: &TestApp, status: u16) -> f64 {
    let labels = format!(r#"method="POST",route="/messages/batch",status="{status}""#);
    metric(app, &format!("duologue_http_requests_total{{{labels}}}")).await
}

#[test]
fn the_import_command_can_be_repeated_safely() {
    let app = spawn_app();
    let text = ndjson(spread(6000, "").iter());
    for said in ["6000 imported, 0 skipped", "0 imported, 6000 skipped"] {
        let (success, out, err) = run_import(&app.address, &text);
        assert_eq!((success, out.as_str()), (true, said), "{err}");
    }
}

#[test]
fn the_import_command_tells_equal_lines_of_two_batches_apart() {
    let app = spawn_app();
    let mut all = spread(5003, "");
    all[5000] = all[4999].clone();
    all.swap(5001, 0);
    let text = format!("\u{feff}{}", ndjson(all.iter()));
    for said in ["5003 imported, 0 skipped", "0 imported, 5003 skipped"] {
        let (success, out, err) = run_import(&app.address, &text);
        assert_eq!((success, out.as_str()), (true, said), "{err}");
    }
}

#[test]
fn the_import_command_continues_and_lists_refused_lines() {
    let app = spawn_app();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(app.send("alice", "carol", "in use"));
    let mut all: Vec<_> = lines(7).iter().map(Value::to_string).collect();
    all.insert(2, "{\"from\":".to_owned());
    all.insert(
        5,
        json!({"from": "alice", "to": "bob", "body": "x", "sent_at": "9999-12-31T00:00:00Z"})
            .to_string(),
    );
    let (success, out, err) = run_import(&app.address, &all.join("\n"));
    assert!(!success);
    assert_eq!(out, "5 imported, 0 skipped", "{err}");
    for said in [
        "line 3: not valid JSON",
        "line 6: sent_at: ",
        "line 4: alice,carol: ",
        "line 8: alice,carol: ",
        "4 lines were not imported",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
}

#[tokio::test]
async fn the_import_command_sends_larger_batches_while_they_are_fast() {
    let app = spawn_app();
    // 12 MiB, of which the first batch takes 1.
    let text = ndjson(spread(1400, &"x".repeat(9000)).iter());
    let address = app.address.clone();
    let import = tokio::task::spawn_blocking(move || run_import(&address, &text));
    let (success, out, err) = import.await.unwrap();
    assert_eq!(
        (success, &*out),
        (true, "1400 imported, 0 skipped"),
        "{err}"
    );
    let batches = batches(&app, 200).await;
    assert!((2.0..10.0).contains(&batches), "{batches} batches");
}

#[tokio::test]
async fn the_import_command_sends_smaller_batches_after_failures() {
    let redis = RedisServer::volatile();
    let proxy = RedisProxy::to(&redis);
    let app = spawn_app_on(&proxy.url());
    proxy.block();
    // Less than the first batch takes.
    let text = ndjson(spread(95, &"x".repeat(9000)).iter());
    let address = app.address.clone();
    let import = tokio::task::spawn_blocking(move || run_import(&address, &text));
    let failed = async || batches(&app, 503).await > 1.5;
    eventually("two batches failed", Duration::from_secs(20), failed).await;
    proxy.unblock();
    let (success, out, err) = import.await.unwrap();
    assert_eq!((success, &*out), (true, "95 imported, 0 skipped"), "{err}");
    let batches = batches(&app, 200).await;
    assert!(batches > 1.5, "{batches} batches");
}
