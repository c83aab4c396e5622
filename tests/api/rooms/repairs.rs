//! Rooms and inboxes of which a failover lost changes, each on a master of its own.

use std::time::Duration;

use redis::ConnectionLike;

use super::badge_becomes;
use crate::harness::metrics::metric;
use crate::harness::store::replica::OldReplica;
use crate::harness::store::rooms::create_room;
use crate::harness::{TestApp, spawn_app_with};

const ROOM: &str = "room:general";

/// Changes that are younger can still be under way, so a difference does not count yet.
const SETTLED: Duration = Duration::from_secs(3);

/// A service that updates inboxes in a second step, and the room `general` with one message.
async fn spawn_in_two_steps() -> TestApp {
    let app = spawn_app_with(&["--two-steps"]);
    create_room(&mut app.redis(), "general", &["alice", "bob"]);
    app.send("alice", ROOM, "one").await;
    app.outboxes_are_empty().await;
    app
}

/// Sends another message, of which the keys with these names know nothing afterwards.
async fn lose_a_message(app: &TestApp, redis: &mut impl ConnectionLike, names: &[&str]) {
    let replica = OldReplica::of(redis, names);
    app.send("alice", ROOM, "two").await;
    app.outboxes_are_empty().await;
    assert_eq!(app.badge("bob").await, [2, 1]);
    replica.takes_over(redis);
    tokio::time::sleep(SETTLED).await;
}

#[tokio::test]
async fn an_inbox_that_lost_a_message_follows_the_room_again() {
    let app = spawn_in_two_steps().await;
    lose_a_message(&app, &mut app.redis(), &["bob"]).await;
    assert_eq!(app.badge("bob").await, [1, 1]);
    app.inbox("bob", "").await;
    badge_becomes(&app, "bob", [2, 1]).await;
    let row = &app.inbox("bob", "").await["conversations"][0];
    assert_eq!(
        (&row["last_seq"], &row["last_message"]["body"]),
        (&2.into(), &"two".into())
    );
}

#[tokio::test]
async fn an_inbox_follows_a_room_that_lost_a_message() {
    let app = spawn_in_two_steps().await;
    lose_a_message(&app, &mut app.redis(), &[ROOM]).await;
    assert_eq!(app.badge("bob").await, [2, 1]);
    app.inbox("bob", "").await;
    badge_becomes(&app, "bob", [1, 1]).await;
    assert!(metric(&app, r#"duologue_repairs_total{kind="touched"}"#).await >= 1.0);
    app.send("alice", ROOM, "three").await;
    badge_becomes(&app, "bob", [2, 1]).await;
    assert_eq!(app.peek("bob", ROOM).await["last_seq"], 2);
}
