//! Clients that act at random while Redis fails, and the comparison of all they hold with what the service
//! returns afterwards. `make chaos` runs the long tests, which are ignored otherwise.

mod cluster;
mod crowd;
mod one_redis;
mod partitions;
mod report;
mod sentinel;

use std::time::Duration;

/// How long the long tests harm Redis: `CHAOS_SECONDS`, or ten minutes.
fn duration() -> Duration {
    let seconds = std::env::var("CHAOS_SECONDS");
    Duration::from_secs(seconds.map_or(600, |seconds| seconds.parse().unwrap()))
}
