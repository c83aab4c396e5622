//! `duologue listen`: killed, started again, and while the service is away.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::cli::service_process::{self, ServiceProcess};
use crate::harness::{client, eventually, spawn_app};

/// A running `duologue listen` that appends to a file. Killed when dropped.
struct ListenProcess(Child);

impl ListenProcess {
    fn start(address: &str, file: &Path, args: &[&str]) -> Self {
        let output = OpenOptions::new().create(true).append(true).open(file);
        let mut command = service_process::command();
        command.args(["listen", "--subscription", "archive", "--url", address]);
        command
            .args(args)
            .stdout(output.unwrap())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for ListenProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The events in a file.
fn written(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    // A killed process may have written a part of its last line.
    lines.filter_map(Result::ok).collect()
}

fn ids(events: &[Value]) -> BTreeSet<&str> {
    events.iter().map(|e| e["id"].as_str().unwrap()).collect()
}

async fn wait_for(file: &Path, count: usize) {
    let enough = async || ids(&written(file)).len() >= count;
    let what = format!("{count} events are written");
    eventually(&what, Duration::from_secs(20), enough).await;
}

async fn wait_for_subscription(address: &str) {
    let path = format!("{address}/subscriptions/archive");
    let there = async || client().get(&path).send().await.unwrap().status() == 200;
    eventually("it subscribes", Duration::from_secs(20), there).await;
}

#[tokio::test]
async fn a_listener_that_is_killed_misses_nothing() {
    let (app, dir) = (spawn_app(), tempfile::tempdir().unwrap());
    let file = dir.path().join("events.ndjson");
    let types = ["--types", "message.created,message.deleted"];
    let mut listener = ListenProcess::start(&app.address, &file, &types);
    wait_for_subscription(&app.address).await;
    let state = app.subscription("archive").await;
    assert_eq!(state["types"].as_array().unwrap().len(), 2);
    let mut sent = 0;
    for round in 1..4 {
        for n in 0..40 {
            app.send("alice", &format!("user-{n}"), "hi").await;
            sent += 1;
            if n == 20 {
                drop(listener);
                listener = ListenProcess::start(&app.address, &file, &types);
            }
        }
        wait_for(&file, 40 * round).await;
    }
    let events = written(&file);
    assert_eq!(ids(&events).len(), sent);
    let acknowledged = async || app.subscription("archive").await["pending"] == 0;
    eventually("all is acknowledged", Duration::from_secs(10), acknowledged).await;
    drop(listener);
}

#[tokio::test]
async fn a_listener_outlives_the_service() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.ndjson");
    let data = dir.path().join("data");
    let service = ServiceProcess::start(&data);
    let address = service.address.clone();
    let _listener = ListenProcess::start(&address, &file, &[]);
    let send = async |body: &str| {
        let message = json!({"from": "alice", "to": "bob", "body": body});
        let request = client().post(format!("{address}/messages"));
        request.json(&message).send().await.unwrap().status() == 201
    };
    wait_for_subscription(&address).await;
    assert!(send("before").await);
    wait_for(&file, 1).await;
    service.signal(rustix::process::Signal::KILL);
    drop(service);
    let bind = address.trim_start_matches("http://").to_owned();
    let _service = ServiceProcess::start_with(&data, &[("DUOLOGUE_BIND", &bind)]);
    assert!(send("after").await);
    wait_for(&file, 2).await;
}
