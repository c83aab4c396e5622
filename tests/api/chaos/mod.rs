//! Clients that act at random while Redis fails, and the comparison of all they hold with what the service
//! returns afterwards. `make chaos` runs the long tests, which are ignored otherwise.

mod cluster;
mod crowd;
mod one_redis;
mod partitions;
mod report;
mod sentinel;

use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use crate::harness::rng::Rng;
use crate::harness::spawn_app_with;
use crowd::{Crowd, Size, seed};

/// The users and clients of the long tests.
const SIZE: Size = Size {
    clients: 60,
    users: 40,
};

/// How long the long tests harm Redis: `CHAOS_SECONDS`, or ten minutes.
fn duration() -> Duration {
    let seconds = std::env::var("CHAOS_SECONDS");
    Duration::from_secs(seconds.map_or(600, |seconds| seconds.parse().unwrap()))
}

/// Lets a crowd act on two processes whose Redis is harmed again and again, and compares everything afterwards.
/// `harm` returns what it did, once Redis is whole again. A replica must have each change.
async fn assert_flawless_under(
    url: &str,
    mut harm: impl FnMut(&mut Rng) -> &'static str + Send + 'static,
) {
    let spawn = || spawn_app_with(&["--redis-url", url, "--replicas", "1"]);
    let apps = [spawn(), spawn()];
    let mut crowd = Crowd::open(&apps, SIZE).await;
    // The closure owns the servers, which are needed until the comparison is over.
    let harms = move || {
        let (deadline, mut rng) = (Instant::now() + duration(), Rng::new(seed()));
        while Instant::now() < deadline {
            println!("{}", harm(&mut rng));
            sleep(Duration::from_millis(500));
        }
        harm
    };
    let harming = async |_: &crowd::Shared| spawn_blocking(harms).await.unwrap();
    let _servers = crowd.act_during(harming).await;
    crowd.report_when_settled().await.assert_flawless();
}
