//! Processes that stop or die under load, with many connections: what their clients end up with.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::binary::Binary;
use crate::harness::door::Door;
use crate::harness::gauges::listeners;
use crate::harness::mirror::Mirror;
use crate::harness::redis_server::RedisServer;
use crate::harness::sender::Sender;
use crate::harness::spawn_app_on;

const USERS: usize = 30;
const DEVICES: usize = 3;
/// How long a process may take that stops with some connections.
const STOP: Duration = Duration::from_secs(10);

/// A process ends under load with a signal while everybody is connected to it, and they all come
/// back to another one; answers how their connections ended, and how long it took the process.
async fn end_under_load(signal: Signal) -> (Vec<u16>, Duration) {
    let (redis, dir) = (RedisServer::volatile(), TempDir::new().unwrap());
    let settings = [("DUOLOGUE_REDIS_URL", &*redis.url())];
    let mut ending = Binary::start_with(dir.path(), &settings);
    let staying = spawn_app_on(&redis.url());
    let mut mirrors = Vec::new();
    for n in 0..USERS * DEVICES {
        let door = Door::of(&ending.address);
        mirrors.push(Mirror::open(door, &format!("user-{}", n % USERS)).await);
    }
    for mirror in &mut mirrors {
        // Where it goes when it is let go.
        mirror.move_to(&staying.address);
    }
    let senders: Vec<_> = (0..4)
        .map(|n| {
            let addresses = [&*ending.address, &*staying.address];
            let to = format!("user-{}", n * 7);
            Sender::start(&addresses, &format!("sender-{n}"), &to)
        })
        .collect();
    let took = Mirror::follow_while(&mut mirrors, async {
        senders[0].goes_on(20).await;
        let begun = Instant::now();
        ending.signal(signal);
        let ended = tokio::task::spawn_blocking(move || {
            ending.ended(STOP);
            begun.elapsed()
        });
        let took = ended.await.unwrap();
        senders[0].goes_on(20).await;
        let everybody = u32::try_from(USERS * DEVICES).unwrap();
        listeners(&staying, everybody, Duration::from_secs(20)).await;
        took
    })
    .await;
    let mut sent = Vec::new();
    for sender in senders {
        sent.push(sender.finish().await);
    }
    let mut ends = Vec::new();
    for mirror in &mut mirrors {
        mirror.catch_up().await;
        mirror.assert_equals_truth().await;
        ends.extend(mirror.ends.keys().copied());
        assert!(!mirror.told.contains_key("reset"));
    }
    for (n, sent) in sent.into_iter().enumerate() {
        let of_user = mirrors
            .iter()
            .filter(|m| m.user == format!("user-{}", n * 7));
        for mirror in of_user {
            assert_eq!(mirror.state.totals, [sent as u64, 1], "each once");
        }
    }
    ends.sort_unstable();
    ends.dedup();
    (ends, took)
}

#[tokio::test]
async fn a_process_that_stops_under_load_sends_everybody_elsewhere_and_loses_nothing() {
    let (ends, took) = end_under_load(Signal::TERM).await;
    assert_eq!(ends, [1012]);
    assert!(took < STOP, "{took:?}");
}

#[tokio::test]
async fn a_process_that_is_killed_under_load_loses_nothing() {
    let (ends, _) = end_under_load(Signal::KILL).await;
    assert_eq!(ends, [1006]);
}
