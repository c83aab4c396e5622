//! The limit of pinned conversations on a cluster, where another node counts them than pins them.

use duologue::store::Keys;
use futures_util::future::join_all;
use redis::Commands;
use serde_json::json;

use super::two_steps::spawn;
use crate::harness::TestApp;
use crate::harness::store::lua::{eval, keys_of_user};

/// Pins a conversation of bob; whether that was possible.
async fn pins(app: &TestApp, peer: String) -> bool {
    let pinned = app.patch("bob", &peer, &json!({"pinned": true})).await;
    assert!([200, 422].contains(&pinned.status), "{pinned:?}");
    pinned.status == 200
}

#[tokio::test]
async fn pins_at_the_same_time_do_not_exceed_the_limit() {
    let app = spawn();
    for n in 0..95 {
        assert!(pins(&app, format!("peer-{n}")).await);
    }
    let pinned = join_all((95..115).map(|n| pins(&app, format!("peer-{n}")))).await;
    assert_eq!(pinned.iter().filter(|made| **made).count(), 5);
    let [_, conversations, _] = keys_of_user("bob");
    let count: u64 = app.redis().hget(conversations, ",pinned").unwrap();
    assert_eq!(count, 100);
    // Nothing stays reserved.
    let open: u64 = app.redis().zcard(Keys::new().pinning("bob")).unwrap();
    assert_eq!(open, 0);
    assert!(
        pins(&app, "peer-7".to_owned()).await,
        "it is pinned already"
    );
    let unpinned = json!({"pinned": false});
    app.patch("bob", "peer-7", &unpinned).await.json(200);
    assert!(pins(&app, "peer-200".to_owned()).await);
    assert!(!pins(&app, "peer-7".to_owned()).await);
}

#[tokio::test]
async fn a_pin_that_no_row_has_yet_counts() {
    let app = spawn();
    for n in 0..99 {
        assert!(pins(&app, format!("peer-{n}")).await);
    }
    let mut redis = app.redis();
    let names = Keys::new();
    let places = [names.conversations("bob"), names.pinning("bob")];
    let reserve = eval("reserve_pin", &places, &["one-more", "request", "100"]);
    // As after a process that died between the two steps.
    assert_eq!(reserve.query(&mut redis), Ok(1));
    assert!(!pins(&app, "another".to_owned()).await);
    assert!(pins(&app, "one-more".to_owned()).await, "it has the place");
    // A place that was taken for longer than any pin takes is free again.
    let unpinned = json!({"pinned": false});
    app.patch("bob", "one-more", &unpinned).await.json(200);
    let [_, pinning] = &places;
    let _: () = redis.zadd(pinning, "one-more,request", 1).unwrap();
    assert!(pins(&app, "another".to_owned()).await);
}
