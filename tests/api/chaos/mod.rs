//! Clients that act at random while Redis and processes of the service fail, and the comparison of all they hold
//! with what the service returns afterwards. `make chaos` runs the long tests, which are ignored otherwise.

mod archive;
mod cluster;
mod crowd;
mod one_redis;
mod partitions;
mod processes;
mod report;
mod sentinel;
mod services;
mod stale_replica;
mod truth;
mod unfinished;

use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use crate::harness::rng::Rng;
use crate::harness::spawn_app_with;
use crate::harness::store::direct_connection::DirectConnection;
use crowd::{Crowd, Size, seed};

/// The users and clients of the long tests.
const SIZE: Size = Size {
    clients: 60,
    users: 40,
};

/// How long everything works between two harms.
const BETWEEN: Duration = Duration::from_secs(2);

/// How long the long tests harm Redis: `CHAOS_SECONDS`, or ten minutes.
fn duration() -> Duration {
    let seconds = std::env::var("CHAOS_SECONDS");
    Duration::from_secs(seconds.map_or(600, |seconds| seconds.parse().unwrap()))
}

/// Servers of Redis that survive failures: a cluster, or those of a sentinel.
trait Servers: Send + 'static {
    fn url(&self) -> String;

    fn connect(&self) -> DirectConnection;

    /// Harms them in one way, and waits until they are whole again. Returns what it did.
    fn harm(&mut self, rng: &mut Rng) -> &'static str;
}

/// Harms servers again and again until the time is over.
async fn harm_until<S: Servers>(deadline: Instant, mut servers: S) -> S {
    let harming = spawn_blocking(move || {
        let mut rng = Rng::new(seed());
        while Instant::now() < deadline {
            println!("{}", servers.harm(&mut rng));
            sleep(BETWEEN);
        }
        servers
    });
    harming.await.unwrap()
}

/// Lets a crowd act on two processes whose Redis is harmed again and again, and compares everything afterwards. A
/// replica must have each change.
async fn assert_flawless_under(servers: impl Servers) {
    let url = servers.url();
    let spawn = || spawn_app_with(&["--redis-url", &url, "--replicas", "1"]);
    let apps = [spawn(), spawn()];
    let addresses = apps.iter().map(|app| app.address.clone()).collect();
    let mut crowd = Crowd::open(addresses, SIZE).await;
    let deadline = Instant::now() + duration();
    let servers = crowd
        .act_during(async |_| harm_until(deadline, servers).await)
        .await;
    let report = crowd.report_when_settled(&mut servers.connect()).await;
    report.assert_flawless();
}
