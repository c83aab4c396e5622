//! The rows of a cluster: the cost of a send to one Redis, to a Redis with a replica, and to a cluster.

use crate::deployment::Deployment;
use crate::process::Server;
use crate::report::Report;
use crate::requests::{LIMITED, ROUNDS, SECRET, mint_tokens};
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// Environment variables of a service.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// Connections, and requests in flight.
const CONNECTIONS: u32 = 32;
/// Seconds of a round.
const SECONDS: u32 = 2;
/// A change is acknowledged when a replica has it.
const REPLICATED: Settings = &[("DUOLOGUE_REPLICAS", "1")];

/// A service, the servers that hold its store, and the rounds that were measured.
struct Row<'a> {
    name: &'static str,
    service: Server,
    deployment: &'a Deployment,
    requests: &'a Requests,
    rounds: Vec<Round>,
}

/// Microseconds of CPU per send of masters, replicas and the service; sends per second.
type Round = [f64; 4];

impl<'a> Row<'a> {
    fn start(
        name: &'static str,
        deployment: &'a Deployment,
        requests: &'a Requests,
        workers: usize,
        settings: Settings,
    ) -> Outcome<Self> {
        Ok(Self {
            name,
            service: Server::duologue_on(&deployment.url, workers, settings)?,
            deployment,
            requests,
            rounds: Vec::new(),
        })
    }

    /// Measures a round.
    fn run(&self) -> Outcome<Round> {
        let cpu = || -> Outcome<_> { Ok((self.deployment.cpu()?, self.service.cpu()?)) };
        let ((masters, replicas), service) = cpu()?;
        let load = self.requests.run(&self.service.url, SECONDS, CONNECTIONS)?;
        let after = cpu()?;
        let each = |cpu: f64| cpu / f64::from(load.requests.max(1));
        let (masters, replicas) = (each(after.0.0 - masters), each(after.0.1 - replicas));
        let service = each(after.1 - service);
        Ok([masters, replicas, service, load.per_second])
    }

    fn medians(&self) -> Round {
        std::array::from_fn(|column| {
            let mut figures: Vec<_> = self.rounds.iter().map(|round| round[column]).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        })
    }

    fn line(&self) -> String {
        let [masters, replicas, service, per_second] = self.medians();
        let redis = masters + replicas;
        format!(
            "| {:<42} | {masters:>7.1} | {replicas:>8.1} | {redis:>9.1} | {service:>7.1} | {per_second:>7.0} |\n",
            self.name
        )
    }
}

/// Measures the rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    eprintln!("measuring one Redis and a cluster ...");
    let dir = tempfile::Builder::new().prefix("duologue-").tempdir()?;
    let unsigned = Requests::sends_with(dir.path(), "unsigned.lua", &[])?;
    let signed = Requests::sends_with(dir.path(), "signed.lua", &mint_tokens()?)?;
    let (one, replicated) = (Deployment::one_redis()?, Deployment::with_replica()?);
    let cluster = Deployment::cluster()?;
    let (plain, charged) = (&[][..], &[SECRET, LIMITED][..]);
    let plan = [
        ("one Redis", &one, &unsigned, plain),
        (
            "a Redis and a replica, DUOLOGUE_REPLICAS=1",
            &replicated,
            &unsigned,
            REPLICATED,
        ),
        (
            "(n) cluster, 3 masters and 3 replicas",
            &cluster,
            &unsigned,
            plain,
        ),
        (
            "    with DUOLOGUE_REPLICAS=1",
            &cluster,
            &unsigned,
            REPLICATED,
        ),
        ("    rate limited, with tokens", &cluster, &signed, charged),
    ];
    let start = |(name, deployment, requests, settings)| {
        Row::start(name, deployment, requests, workers, settings)
    };
    let mut rows = plan.into_iter().map(start).collect::<Outcome<Vec<_>>>()?;
    run_rounds(&mut rows, interrupt)?;
    report.add_table(&table(&rows));
    let [one, cluster] = [0, 2].map(|row| rows[row].medians()[0]);
    let name = "(n) sends of three masters / of one Redis";
    report.figure(name, 3.0 * one / cluster, 2, None);
    Ok(())
}

/// Measures rounds that alternate between the rows. The first one creates the conversations and does not
/// count.
fn run_rounds(rows: &mut [Row], interrupt: &Interrupt) -> Outcome<()> {
    for round in 0..=ROUNDS {
        for row in &mut *rows {
            interrupt.check()?;
            let figures = row.run()?;
            if round > 0 {
                row.rounds.push(figures);
            }
        }
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut table = format!(
        "microseconds of CPU per send of 100 bytes among 5,000 pairs, {CONNECTIONS} connections\n\n\
         | {:<42} | masters | replicas | all Redis | service | sends/s |\n\
         |{:-<44}|--------:|---------:|----------:|--------:|--------:|\n",
        "", ""
    );
    table.extend(rows.iter().map(Row::line));
    table
}
