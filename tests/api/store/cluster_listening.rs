//! Devices on a cluster hear everything while slots move, subscriptions are cut and masters are exchanged.

use std::time::Duration;

use duologue::store::Keys;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::replica::Replica;
use crate::harness::spawn_app_on;
use crate::harness::store::replicated_cluster::ReplicatedCluster;

/// Devices, each of another user.
const LISTENERS: usize = 200;
/// Messages that each of them receives.
const MESSAGES: usize = 5;
/// Devices that connect or compare concurrently.
const CONCURRENCY: usize = 20;

fn user(number: usize) -> String {
    format!("listener-{}", number % LISTENERS)
}

/// Sends to every user while the cluster changes. No send may be refused, and every device must show what the
/// service returns afterwards.
async fn assert_all_hear(change: impl FnOnce(&ReplicatedCluster) + Send + 'static) {
    let cluster = ReplicatedCluster::start();
    let app = spawn_app_on(&cluster.url());
    let opening = (0..LISTENERS).map(|number| {
        let options = ConnectOptions::new(&app.address);
        async move { Replica::open(options, &user(number)).await }
    });
    let mut replicas: Vec<_> = stream::iter(opening).buffered(CONCURRENCY).collect().await;
    let sending = async {
        let changing = tokio::task::spawn_blocking(move || {
            change(&cluster);
            cluster
        });
        for round in 0..MESSAGES {
            let sends = (0..LISTENERS).map(|number| {
                let body = format!("{round}");
                let message = json!({"from": user(number), "to": user(number + 1), "body": body});
                let app = &app;
                async move { app.post(&message).await.status }
            });
            let sends = stream::iter(sends).buffer_unordered(CONCURRENCY);
            let statuses: Vec<_> = sends.collect().await;
            assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
            sleep(Duration::from_millis(200)).await;
        }
        changing.await.unwrap()
    };
    let _cluster = Replica::follow_while(&mut replicas, sending).await;
    join_all(replicas.iter_mut().map(Replica::catch_up)).await;
    for replica in &replicas {
        replica.assert_matches_service().await;
        let messages = replica.state.messages.values().flatten().count();
        assert_eq!(
            messages,
            2 * MESSAGES,
            "sent and received by {}",
            replica.user
        );
    }
}

#[tokio::test]
async fn slots_that_move_cost_no_listener_an_event() {
    assert_all_hear(|cluster| {
        for number in (0..LISTENERS).step_by(10) {
            let slot = cluster.slot_of(&Keys::new().inbox(&user(number)));
            cluster.move_slot(slot, number % 3);
        }
    })
    .await;
}

#[tokio::test]
async fn cut_subscriptions_and_failovers_cost_no_listener_an_event() {
    assert_all_hear(|cluster| {
        for node in &cluster.nodes {
            node.run("CLIENT KILL TYPE pubsub");
        }
        for master in cluster.masters() {
            cluster.fail_over(master);
        }
    })
    .await;
}
