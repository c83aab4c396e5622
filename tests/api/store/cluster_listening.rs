//! Devices on a cluster hear everything while slots move, subscriptions are cut and masters are exchanged.

use std::time::Duration;

use duologue::store::Keys;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::replica::Replica;
use crate::harness::spawn_app_on;
use crate::harness::store::replicated_cluster::ReplicatedCluster;

/// Devices, each of another user.
const LISTENERS: usize = 200;
/// Those of the long tests.
const MANY_LISTENERS: usize = 1000;
/// Messages that each of them receives.
const MESSAGES: usize = 5;
/// Devices that connect or compare concurrently.
const CONCURRENCY: usize = 20;

fn user(number: usize) -> String {
    format!("listener-{number}")
}

/// Sends to every user while the cluster changes. No send may be refused, and every device must show what the
/// service returns afterwards.
async fn assert_all_hear(
    listeners: usize,
    change: impl FnOnce(&ReplicatedCluster) + Send + 'static,
) {
    let cluster = ReplicatedCluster::start();
    let app = spawn_app_on(&cluster.url());
    let opening = (0..listeners).map(|number| {
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
            let sends = (0..listeners).map(|number| {
                let to = user((number + 1) % listeners);
                let message = json!({"from": user(number), "to": to, "body": round.to_string()});
                let app = &app;
                async move { app.post(&message).await }
            });
            let sends = stream::iter(sends).buffer_unordered(CONCURRENCY);
            let sends: Vec<_> = sends.collect().await;
            let refused = sends.iter().find(|send| send.status != 201);
            assert!(refused.is_none(), "{refused:?}");
            sleep(Duration::from_millis(200)).await;
        }
        changing.await.unwrap()
    };
    let cluster = Replica::follow_while(&mut replicas, sending).await;
    let catching_up = replicas.iter_mut().map(Replica::catch_up);
    let catching_up = stream::iter(catching_up).buffered(CONCURRENCY);
    catching_up.collect::<()>().await;
    for replica in &replicas {
        replica.assert_matches_service().await;
        // Nothing was lost, so nobody has to read everything again.
        assert_eq!(replica.event_counts.get("reset"), None);
        let messages = replica.state.messages.values().flatten().count();
        assert_eq!(
            messages,
            2 * MESSAGES,
            "sent and received by {}",
            replica.user
        );
    }
    // The service stops at once only while the cluster works.
    drop((replicas, app, cluster));
}

/// Moves the slot of every tenth listener.
fn move_slots(listeners: usize) -> impl FnOnce(&ReplicatedCluster) + Send + 'static {
    move |cluster| {
        for number in (0..listeners).step_by(10) {
            let slot = cluster.slot_of(&Keys::new().inbox(&user(number)));
            cluster.move_slot(slot, number % 3);
        }
    }
}

fn cut_and_fail_over(cluster: &ReplicatedCluster) {
    for node in &cluster.nodes {
        node.run("CLIENT KILL TYPE pubsub");
    }
    for master in cluster.masters() {
        cluster.fail_over(master);
    }
}

#[tokio::test]
async fn slots_that_move_cost_no_listener_an_event() {
    assert_all_hear(LISTENERS, move_slots(LISTENERS)).await;
}

#[tokio::test]
async fn cut_subscriptions_and_failovers_cost_no_listener_an_event() {
    assert_all_hear(LISTENERS, cut_and_fail_over).await;
}

#[tokio::test]
#[ignore = "takes a minute: make chaos"]
async fn slots_that_move_cost_none_of_many_listeners_an_event() {
    assert_all_hear(MANY_LISTENERS, move_slots(MANY_LISTENERS)).await;
}

#[tokio::test]
#[ignore = "takes a minute: make chaos"]
async fn cuts_and_failovers_cost_none_of_many_listeners_an_event() {
    assert_all_hear(MANY_LISTENERS, cut_and_fail_over).await;
}
