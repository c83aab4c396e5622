//! Messages of a room that the retention no longer allows.

use std::sync::Arc;

use duologue::metrics::Metrics;
use duologue::model::Retention;
use duologue::store::Store;
use duologue::worker::retention;
use tokio_util::sync::CancellationToken;

use super::{badge_becomes, spawn_with_room};
use crate::harness::seqs;

const ROOM: &str = "room:general";

#[tokio::test]
async fn the_sweep_drops_old_messages_of_an_idle_room() {
    let app = spawn_with_room();
    for n in 1..=5 {
        app.send("alice", ROOM, &n.to_string()).await;
    }
    app.read("carol", ROOM).await;
    badge_becomes(&app, "bob", [5, 1]).await;
    let (metrics, limits) = (
        Arc::new(Metrics::new()),
        Retention {
            messages: 2,
            days: 0,
        },
    );
    let store = Store::new(&app.redis_url, None, limits, metrics).unwrap();
    let stop = CancellationToken::new();
    assert_eq!(retention::sweep(&store, &stop).await.unwrap(), 3);
    assert_eq!(retention::sweep(&store, &stop).await.unwrap(), 0);
    badge_becomes(&app, "bob", [2, 1]).await;
    badge_becomes(&app, "carol", [0, 0]).await;
    let page = app.peek("bob", ROOM).await;
    assert_eq!(seqs(&page["history"]), [5, 4]);
    assert_eq!(
        (&page["unread_count"], &page["last_seq"]),
        (&2.into(), &5.into())
    );
}
