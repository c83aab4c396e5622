//! What it costs to be connected, and to be told: the rows of Live.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use crate::plan::Bench;
use crate::process::cpu;
use crate::report::{Report, Target};
use crate::sockets::{Crowd, Sent, send};
use crate::{Interrupt, Outcome};

/// Users who hear of messages, messages a second between them, and for how many seconds; so long
/// also before it is measured.
const USERS: u32 = 2_000;
const A_SECOND: u32 = 1_000;
const SECONDS: u32 = 8;
const WARM_UP: u32 = 2;
/// After the last message, for what is still on its way.
const REST: Duration = Duration::from_millis(500);
/// Users who are connected and to whom nothing happens.
const IDLE: u64 = 20_000;
/// Files of a process that are not such connections.
const OTHER_FILES: u64 = 100;
/// Connections that come and go before, and the seconds until they are forgotten.
const BEFORE: u32 = 500;
const FORGOTTEN: u32 = 6;
/// Seconds until each presence was renewed at least once after all are connected, and for which is
/// then measured what it costs.
const SETTLED: u32 = 20;
const IDLE_SECONDS: u32 = 30;
/// Bytes that an idle connection may cost the service. "13 KB", in the stricter sense.
const MEMORY_TARGET: f64 = 13_000.0;

/// Measures it and adds it to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let idle = allow_connections()?;
    eprintln!("measuring {USERS} users who hear of {A_SECOND} messages a second ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    runtime.block_on(hear(&bench, report))?;
    eprintln!("measuring {idle} idle connections ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    runtime.block_on(idle_users(bench, idle, report))
}

/// Raises the number of files that this process may open, as the service does with its own; answers
/// how many connections fit into both.
fn allow_connections() -> Outcome<u32> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)?;
    let most = maximum.map_or(IDLE, |maximum| maximum.saturating_sub(OTHER_FILES));
    Ok(u32::try_from(most.min(IDLE))?)
}

/// Microseconds of CPU.
#[derive(Clone, Copy)]
struct Cost {
    service: f64,
    redis: f64,
}

impl Cost {
    /// All until now.
    fn so_far(bench: &Bench) -> Outcome<Self> {
        Ok(Self {
            service: bench.service.cpu()?,
            redis: cpu(bench.redis.pid)?,
        })
    }

    /// What some work costs.
    async fn of<T>(
        bench: &Bench<'_>,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<(T, Self)> {
        bench.interrupt.check()?;
        let before = Self::so_far(bench)?;
        let value = work.await?;
        Ok((value, Self::so_far(bench)?.minus(before)))
    }

    fn minus(self, other: Self) -> Self {
        Self {
            service: self.service - other.service,
            redis: self.redis - other.redis,
        }
    }

    fn report(self, of: u32, what: &str, report: &mut Report) {
        let each = |cost| cost / f64::from(of);
        let name = format!("{what}: service CPU, us");
        report.figure(&name, each(self.service), 1, None);
        let name = format!("{what}: Redis CPU, us");
        report.figure(&name, each(self.redis), 1, None);
    }
}

/// The same sends to nobody and to users who are connected, and those users without sends.
async fn hear(bench: &Bench<'_>, report: &mut Report) -> Outcome<()> {
    let address = bench.service.address();
    let send_for = async |seconds: u32| {
        let sent = send(address, seconds * A_SECOND, USERS).await?;
        sleep(REST).await;
        Ok(sent) as Outcome<_>
    };
    send_for(WARM_UP).await?;
    let (_, unheard) = Cost::of(bench, send_for(SECONDS)).await?;
    let mut crowd = Crowd::connect(address, USERS).await?;
    send_for(WARM_UP).await?;
    let ((), silence) = Cost::of(bench, async {
        wait(bench.interrupt, SECONDS).await?;
        sleep(REST).await;
        Ok(())
    })
    .await?;
    crowd.heard();
    let (sent, heard) = Cost::of(bench, send_for(SECONDS)).await?;
    crowd.check()?;
    let (events, arrivals) = crowd.heard();
    crowd.leave().await;
    let messages = SECONDS * A_SECOND;
    if events != 2 * messages {
        return Err(format!("{messages} messages made {events} events").into());
    }
    latencies(sent, arrivals, report);
    heard.report(messages, "(l) message both hear", report);
    unheard.report(messages, "(l) message nobody hears", report);
    let told = heard.minus(unheard).minus(silence);
    told.report(events, "(l) delivered event", report);
    Ok(())
}

/// Adds how long it took from the request, and from its answer, until the peer had read the event.
fn latencies(mut sent: Vec<Sent>, mut arrivals: Vec<(u32, Instant)>, report: &mut Report) {
    sent.sort_by_key(|sent| sent.number);
    arrivals.sort_by_key(|(number, _)| *number);
    let took = |from: fn(&Sent) -> Instant| {
        let both = sent.iter().zip(&arrivals);
        let mut all: Vec<_> = both
            .map(|(sent, (_, at))| milliseconds(from(sent), *at))
            .collect();
        all.sort_by(f64::total_cmp);
        all
    };
    for (what, all) in [
        ("request to event", took(|sent| sent.requested)),
        ("answer to event", took(|sent| sent.accepted)),
    ] {
        for percent in [50, 99] {
            let name = format!("(l) {what}, p{percent}, ms");
            report.figure(&name, all[all.len() * percent / 100], 2, None);
        }
    }
    let first = sent.iter().map(|sent| sent.requested).min();
    let last = sent.iter().map(|sent| sent.accepted).max();
    if let (Some(first), Some(last)) = (first, last) {
        let pace = f64::from(SECONDS * A_SECOND) / (last - first).as_secs_f64();
        report.figure("(l) messages a second", pace, 0, None);
    }
}

/// From one moment to another, which may be the earlier one.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    let forth = to.saturating_duration_since(from).as_secs_f64();
    let back = from.saturating_duration_since(to).as_secs_f64();
    (forth - back) * 1e3
}

/// What users cost who are connected and to whom nothing happens.
async fn idle_users(mut bench: Bench<'_>, users: u32, report: &mut Report) -> Outcome<()> {
    let crowd = Crowd::connect(bench.service.address(), BEFORE).await?;
    crowd.leave().await;
    wait(bench.interrupt, FORGOTTEN).await?;
    let before = (bench.service.memory()?, bench.redis.used_memory()?);
    let mut crowd = Crowd::connect(bench.service.address(), users).await?;
    wait(bench.interrupt, SETTLED).await?;
    let ((), cost) = Cost::of(&bench, wait(bench.interrupt, IDLE_SECONDS)).await?;
    crowd.check()?;
    let after = (bench.service.memory()?, bench.redis.used_memory()?);
    crowd.leave().await;
    let each = |bytes: f64| bytes / f64::from(users);
    report.figure("(m) idle connections", f64::from(users), 0, None);
    let name = "(m) one in the service's memory, bytes";
    let target = Some(Target::AtMost(MEMORY_TARGET));
    report.figure(name, each(after.0 - before.0), 0, target);
    let name = "(m) one in the memory of Redis, bytes";
    report.figure(name, each(after.1 - before.1), 0, None);
    cost.report(users * IDLE_SECONDS, "(m) one for a second", report);
    Ok(())
}

/// Waits, and fails if there is a reason to stop.
async fn wait(interrupt: &Interrupt, seconds: u32) -> Outcome<()> {
    for _ in 0..seconds {
        interrupt.check()?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
