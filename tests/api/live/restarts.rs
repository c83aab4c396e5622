//! Processes that stop or are killed under load with many connections.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::replica::Replica;
use crate::harness::load_generator::LoadGenerator;
use crate::harness::metrics::wait_for_listeners;
use crate::harness::spawn_app_on;
use crate::harness::store::redis_server::RedisServer;

const USERS: usize = 30;
const DEVICES: usize = 3;
/// How long a process with connections may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// Ends a process by a signal under load; its clients reconnect to another process. Returns the
/// close codes, and how long the process took to exit.
async fn end_under_load(signal: Signal) -> (Vec<u16>, Duration) {
    let (redis, dir) = (RedisServer::volatile(), TempDir::new().unwrap());
    let settings = [("DUOLOGUE_REDIS_URL", &*redis.url())];
    let mut ending = ServiceProcess::start_with(dir.path(), &settings);
    let staying = spawn_app_on(&redis.url());
    let mut replicas = Vec::new();
    for n in 0..USERS * DEVICES {
        let options = ConnectOptions::new(&ending.address);
        replicas.push(Replica::open(options, &format!("user-{}", n % USERS)).await);
    }
    for replica in &mut replicas {
        // The process it reconnects to.
        replica.switch_to(&staying.address);
    }
    let senders: Vec<_> = (0..4)
        .map(|n| {
            let addresses = [&*ending.address, &*staying.address];
            let to = format!("user-{}", n * 7);
            LoadGenerator::start(&addresses, &format!("sender-{n}"), &to)
        })
        .collect();
    let took = Replica::follow_while(&mut replicas, async {
        senders[0].wait_for_sent(20).await;
        let begun = Instant::now();
        ending.signal(signal);
        let ended = tokio::task::spawn_blocking(move || {
            ending.wait_for_exit(STOP);
            begun.elapsed()
        });
        let took = ended.await.unwrap();
        senders[0].wait_for_sent(20).await;
        let everybody = u32::try_from(USERS * DEVICES).unwrap();
        wait_for_listeners(&staying, everybody, Duration::from_secs(20)).await;
        took
    })
    .await;
    let mut sent = Vec::new();
    for sender in senders {
        sent.push(sender.finish().await);
    }
    let mut ends = Vec::new();
    for replica in &mut replicas {
        replica.catch_up().await;
        replica.assert_matches_service().await;
        ends.extend(replica.close_counts.keys().copied());
        assert!(!replica.event_counts.contains_key("reset"));
    }
    for (n, sent) in sent.into_iter().enumerate() {
        let of_user = replicas
            .iter()
            .filter(|m| m.user == format!("user-{}", n * 7));
        for replica in of_user {
            assert_eq!(replica.state.totals, [sent as u64, 1, 0], "each once");
        }
    }
    ends.sort_unstable();
    ends.dedup();
    (ends, took)
}

#[tokio::test]
async fn stopping_a_process_under_load_loses_no_message() {
    let (ends, took) = end_under_load(Signal::TERM).await;
    assert_eq!(ends, [1012]);
    assert!(took < STOP, "{took:?}");
}

#[tokio::test]
async fn killing_a_process_under_load_loses_no_message() {
    let (ends, _) = end_under_load(Signal::KILL).await;
    assert_eq!(ends, [1006]);
}
