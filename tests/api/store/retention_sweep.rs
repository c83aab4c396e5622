//! The background sweep that drops expired messages.

use std::sync::Arc;
use std::time::Duration;

use duologue::metrics::Metrics;
use duologue::model::Retention;
use duologue::store::Store;
use duologue::worker::retention;
use redis::Commands;
use tokio_util::sync::CancellationToken;

use super::retention::{LONG_AGO, send_at};
use crate::harness::{TestApp, eventually, keys, seqs, spawn_app};

/// A store with a limit of messages per conversation.
fn open_store(app: &TestApp, messages: u64) -> Store {
    let retention = Retention { messages, days: 0 };
    let metrics = Arc::new(Metrics::new());
    Store::new(&app.redis_url, None, retention, metrics).unwrap()
}

#[tokio::test]
async fn the_sweep_drops_old_messages_of_idle_conversations() {
    let app = spawn_app();
    for n in 0..5 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    app.send("carol", "bob", "one").await;
    let store = open_store(&app, 2);
    let stop = CancellationToken::new();
    assert_eq!(retention::sweep(&store, &stop).await.unwrap(), 3);
    assert_eq!(retention::sweep(&store, &stop).await.unwrap(), 0);
    assert_eq!(app.badge("bob").await, [3, 2]);
    assert_eq!(seqs(&app.peek("bob", "alice").await["history"]), [5, 4]);
}

#[tokio::test]
async fn a_stopped_sweep_finishes_its_step_and_no_other() {
    const CONVERSATIONS: usize = 200;
    let app = spawn_app();
    let peers: Vec<_> = (0..CONVERSATIONS).map(|n| format!("peer-{n}")).collect();
    for peer in &peers {
        send_at(&app, "alice", peer, LONG_AGO, 3);
    }
    let stored = || {
        let mut redis = app.redis();
        let lengths = peers.iter().map(|peer| {
            let [messages, ..] = keys("alice", peer);
            redis.llen::<_, usize>(messages).unwrap()
        });
        lengths.collect::<Vec<_>>()
    };
    let (store, stop) = (open_store(&app, 1), CancellationToken::new());
    let begun = async || stored().contains(&1);
    let (dropped, ()) = tokio::join!(retention::sweep(&store, &stop), async {
        eventually("the sweep begins", Duration::from_secs(10), begun).await;
        stop.cancel();
    });
    let (dropped, lengths) = (dropped.unwrap(), stored());
    let kept: usize = lengths.iter().sum();
    assert_eq!(usize::try_from(dropped).unwrap(), 3 * CONVERSATIONS - kept);
    assert!(lengths.iter().all(|length| [1, 3].contains(length)));
    assert!(lengths.contains(&3), "the rest is left for the next sweep");
}
