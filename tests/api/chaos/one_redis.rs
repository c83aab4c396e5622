//! A Redis that is killed three times.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::crowd::{Crowd, Shared, Size};
use crate::harness::spawn_app_on;
use crate::harness::store::redis_server::RedisServer;

const SIZE: Size = Size {
    clients: 200,
    users: 60,
};
const KILLS: usize = 3;
/// Minimum number of messages between two kills of Redis.
const BETWEEN: usize = 100;

/// Kills and restarts Redis while messages are sent.
async fn kill_redis_repeatedly(redis: &mut RedisServer, shared: &Shared) {
    for kill in 0..=KILLS {
        let goal = shared.sent.load(Ordering::Relaxed) + BETWEEN;
        let deadline = Instant::now() + Duration::from_secs(30);
        while shared.sent.load(Ordering::Relaxed) < goal {
            assert!(
                Instant::now() < deadline,
                "nothing is sent after {kill} deaths"
            );
            sleep(Duration::from_millis(20)).await;
        }
        if kill < KILLS {
            redis.kill();
            sleep(Duration::from_millis(200)).await;
            redis.restart();
        }
    }
}

#[tokio::test]
async fn every_client_converges_under_random_failures() {
    let mut redis = RedisServer::durable();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    let addresses = apps.iter().map(|app| app.address.clone()).collect();
    let mut crowd = Crowd::open(addresses, SIZE).await;
    let kills = async |shared: &Shared| kill_redis_repeatedly(&mut redis, shared).await;
    crowd.act_during(kills).await;
    apps[0].outboxes_are_empty().await;
    let report = crowd.report(&mut apps[0].redis()).await;
    assert!(report.sends >= BETWEEN * (KILLS + 1), "{report}");
    report.assert_flawless();
}
