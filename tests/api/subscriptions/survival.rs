//! Services and Redis that are killed.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::client;
use crate::harness::store::redis_server::{embedded_url, pid_of, signal_pid};

async fn get(service: &ServiceProcess, path: &str) -> Value {
    let answer = client().get(format!("{}{path}", service.address)).send();
    answer.await.unwrap().json().await.unwrap()
}

/// Sends until the service does not answer any more. Returns what was acknowledged.
async fn send_until_killed(address: String, sender: usize) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for n in 0.. {
        let body = format!("{sender}-{n}");
        let message = json!({"from": "alice", "to": format!("user-{sender}"), "body": body});
        let request = client().post(format!("{address}/messages")).json(&message);
        match request.send().await {
            Ok(answer) if answer.status() == 201 => acknowledged.insert(body),
            _ => break,
        };
    }
    acknowledged
}

/// Kills a service and its Redis.
fn kill(service: &ServiceProcess, dir: &Path) {
    let redis = pid_of(&embedded_url(dir));
    service.signal(Signal::KILL);
    signal_pid(redis, Signal::KILL);
}

#[tokio::test]
async fn every_201_is_in_the_feed_although_all_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let service = ServiceProcess::start(dir.path());
    let url = format!("{}/subscriptions/archive", service.address);
    let made = client().put(url).json(&json!({})).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let senders = (0..4).map(|n| tokio::spawn(send_until_killed(service.address.clone(), n)));
    let senders: Vec<_> = senders.collect();
    let sent = async || get(&service, "/subscriptions/archive").await["lag"].as_u64() > Some(100);
    let within = std::time::Duration::from_secs(20);
    crate::harness::eventually("sends succeed", within, sent).await;
    kill(&service, dir.path());
    let mut acknowledged = BTreeSet::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    drop(service);
    let service = ServiceProcess::start(dir.path());
    let mut heard = BTreeSet::new();
    loop {
        let page = get(&service, "/subscriptions/archive/events?limit=500").await;
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            break;
        }
        for event in events {
            let body = event["data"]["message"]["body"].as_str().unwrap();
            assert!(heard.insert(body.to_owned()), "{body} twice");
        }
        let ids: Vec<_> = events.iter().map(|event| &event["id"]).collect();
        let url = format!("{}/subscriptions/archive/ack", service.address);
        let ack = client().post(url).json(&json!({"ids": ids})).send().await;
        assert_eq!(ack.unwrap().status(), 200);
    }
    let missing: Vec<_> = acknowledged.difference(&heard).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(acknowledged.len() >= 100);
}
