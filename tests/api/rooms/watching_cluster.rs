//! Watchers of rooms on a cluster miss nothing while slots move, subscriptions are cut and masters are exchanged.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use crate::harness::live::resume::bodies;
use crate::harness::live::watcher::watcher;
use crate::harness::spawn_app_on;
use crate::harness::store::replicated_cluster::ReplicatedCluster;
use crate::harness::store::rooms::keys_of_room;

/// Rooms, each with a watcher.
const ROOMS: usize = 30;
/// Messages to each of them.
const MESSAGES: usize = 5;

fn room(number: usize) -> String {
    format!("room-{number}")
}

async fn assert_watchers_miss_nothing(change: impl FnOnce(&ReplicatedCluster) + Send + 'static) {
    let cluster = ReplicatedCluster::start();
    let app = spawn_app_on(&cluster.url());
    let opening = (0..ROOMS).map(|number| {
        let (app, room) = (&app, room(number));
        async move {
            app.open_room(&room, &["alice"]).await;
            watcher(app, &format!("watcher-{number}"), &room).await
        }
    });
    let watchers: Vec<_> = stream::iter(opening).buffered(10).collect().await;
    let changing = tokio::task::spawn_blocking(move || {
        change(&cluster);
        cluster
    });
    for message in 0..MESSAGES {
        let sends = (0..ROOMS).map(|number| {
            let (app, to) = (&app, format!("room:{}", room(number)));
            async move { app.send("alice", &to, &message.to_string()).await }
        });
        stream::iter(sends)
            .buffer_unordered(10)
            .for_each(|_| async {})
            .await;
        sleep(Duration::from_millis(200)).await;
    }
    let _cluster = changing.await.unwrap();
    let expected: Vec<_> = (0..MESSAGES).map(|message| message.to_string()).collect();
    for (mut device, start) in watchers {
        let last = expected.last().unwrap();
        let events = device.room_events_until(&start, last).await;
        assert_eq!(bodies(&events), expected, "{device:?}");
    }
}

#[tokio::test]
async fn slots_that_move_cost_no_watcher_an_event() {
    assert_watchers_miss_nothing(|cluster| {
        for number in (0..ROOMS).step_by(3) {
            let [messages, ..] = keys_of_room(&room(number));
            cluster.move_slot(cluster.slot_of(&messages), number % 3);
        }
    })
    .await;
}

#[tokio::test]
async fn cut_subscriptions_and_failovers_cost_no_watcher_an_event() {
    assert_watchers_miss_nothing(|cluster| {
        for node in &cluster.nodes {
            node.run("CLIENT KILL TYPE pubsub");
        }
        for master in cluster.masters() {
            cluster.fail_over(master);
        }
    })
    .await;
}
