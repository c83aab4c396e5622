//! The measurements, in their order.

use crate::bench::Bench;
use crate::report::Report;
use crate::requests::{self, SECONDS};
use crate::{
    ARCHIVE, CLUSTER, GROWTH, Interrupt, LIVE, Outcome, PEERS, ROOMS, SCRIPTS, SUBSCRIPTIONS,
};
use crate::{archive, cluster, growth, imports, live, peers, rooms, subscriptions, webhooks};

/// Seconds of a round of the rows with targets, which all have `everysec`.
const LONG_ROUND: u32 = 2;

/// Measures everything, or only one part of it, and prints the report; returns the missed targets.
pub fn run(interrupt: &Interrupt, workers: usize, only: Option<&str>) -> Outcome<Vec<String>> {
    let mut report = Report::new(workers);
    let measures = |part: &str| only.is_none_or(|only| only == part);
    if only.is_none() {
        measure_requests(interrupt, workers, &mut report)?;
    }
    if only == Some(PEERS) {
        peers::measure(interrupt, workers, &mut report)?;
    }
    if measures(GROWTH) {
        growth::measure(interrupt, workers, &mut report)?;
    }
    if measures(ARCHIVE) {
        archive::measure(interrupt, workers, &mut report)?;
    }
    if measures(SCRIPTS) {
        measure_scripts(interrupt, workers, &mut report)?;
    }
    if measures(CLUSTER) {
        cluster::measure(interrupt, workers, &mut report)?;
    }
    if measures(ROOMS) {
        rooms::measure(interrupt, workers, &mut report)?;
    }
    if measures(SUBSCRIPTIONS) {
        subscriptions::measure(interrupt, workers, &mut report)?;
        webhooks::measure(interrupt, workers, &mut report)?;
    }
    if measures(LIVE) {
        live::measure(interrupt, workers, &mut report)?;
    }
    report.print();
    Ok(report.missed())
}

/// Measures requests, imports and memory.
fn measure_requests(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    let start = |fsync| Bench::start(interrupt, fsync, workers, &[]);
    for (fsync, seconds) in [("everysec", LONG_ROUND), ("always", SECONDS)] {
        eprintln!("measuring with fsync {fsync} ...");
        let rows = requests::lower_bounds(start(fsync)?, seconds)?;
        report.add_lower_bounds(fsync, &rows);
    }
    eprintln!("measuring tokens and rate limits ...");
    let rows = requests::tokens_and_limits(interrupt, workers)?;
    report.add_tokens_and_limits(&rows);
    eprintln!("measuring imports and memory ...");
    let rows = imports::imports(&start("everysec")?)?;
    report.add_imports(&rows);
    imports::memory(start("everysec")?, report)
}

/// Measures the time that Redis takes for scripts.
fn measure_scripts(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    eprintln!("measuring the time of Redis ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    let (times, appended) = requests::redis_times(bench)?;
    report.add_redis_times(times, appended);
    Ok(())
}
