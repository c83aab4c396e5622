//! The live rows: the cost of delivering events and of idle connections.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use crate::bench::Bench;
use crate::process::cpu;
use crate::report::{Report, Target};
use crate::sockets::{Listeners, Sent, send};
use crate::{Interrupt, Outcome};

/// Users who send and receive messages.
const USERS: u32 = 2_000;
/// Each is two events: one to the sender's devices, one to the recipient's.
const MESSAGES_PER_SECOND: u32 = 5_000;
/// Seconds of a measurement.
const SECONDS: u32 = 8;
/// Seconds of sending before a measurement.
const WARM_UP: u32 = 2;
/// How long the last events of a measurement may take to arrive.
const DELIVERY: Duration = Duration::from_millis(500);
/// Connections without events.
const IDLE: u64 = 20_000;
/// Files that a process opens besides these connections.
const OTHER_FILES: u64 = 300;
/// Connections that open and close before memory is read.
const EARLIER_CONNECTIONS: u32 = 500;
/// Seconds until the service has dropped the state of closed connections.
const EXPIRY: u32 = 6;
/// Seconds until each presence was renewed at least once.
const RENEWAL: u32 = 20;
/// Seconds for which the CPU of idle connections is measured.
const IDLE_SECONDS: u32 = 30;
/// Bytes of memory that an idle connection may cost the service.
const MEMORY_TARGET: f64 = 10_240.0;
/// Microseconds of CPU that a delivered event may take.
const DELIVERY_TARGET: Cost = Cost {
    service: 12.0,
    redis: 10.0,
};

/// Measures the live rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let idle = allow_connections()?;
    eprintln!(
        "measuring the delivery of {MESSAGES_PER_SECOND} messages per second to {USERS} users ..."
    );
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    runtime.block_on(delivery(&bench, report))?;
    eprintln!("measuring {idle} idle connections ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    runtime.block_on(idle_connections(bench, idle, report))
}

/// Raises the limit of open files to its maximum, as the service does; returns how many idle
/// connections it permits, in this process as in the service.
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
    /// The CPU time since the processes started.
    fn so_far(bench: &Bench) -> Outcome<Self> {
        Ok(Self {
            service: bench.service.cpu()?,
            redis: cpu(bench.redis.pid)?,
        })
    }

    /// Does some work; returns its value and its cost.
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

    /// Adds the cost per unit to the report.
    fn report(self, units: u32, what: &str, target: Option<Self>, report: &mut Report) {
        let each = |cost| cost / f64::from(units);
        let name = format!("{what}: service CPU, us");
        let most = target.map(|most| Target::AtMost(most.service));
        report.figure(&name, each(self.service), 1, most);
        let name = format!("{what}: Redis CPU, us");
        let most = target.map(|most| Target::AtMost(most.redis));
        report.figure(&name, each(self.redis), 1, most);
    }
}

/// Measures the same sends without and with connected users, and these users without sends.
async fn delivery(bench: &Bench<'_>, report: &mut Report) -> Outcome<()> {
    let address = bench.service.address();
    let send_for = async |seconds: u32| {
        let interval = Duration::from_secs(1) / MESSAGES_PER_SECOND;
        let messages = seconds * MESSAGES_PER_SECOND;
        let sent = send(address, messages, interval, USERS).await?;
        sleep(DELIVERY).await;
        Ok(sent) as Outcome<_>
    };
    send_for(WARM_UP).await?;
    let (_, without_listeners) = Cost::of(bench, send_for(SECONDS)).await?;
    let mut listeners = Listeners::connect(address, USERS).await?;
    send_for(WARM_UP).await?;
    let ((), idle) = Cost::of(bench, async {
        wait(bench.interrupt, SECONDS).await?;
        sleep(DELIVERY).await;
        Ok(())
    })
    .await?;
    listeners.take_received();
    let (sent, with_listeners) = Cost::of(bench, send_for(SECONDS)).await?;
    listeners.check()?;
    let (events, arrivals) = listeners.take_received();
    listeners.disconnect().await;
    let messages = SECONDS * MESSAGES_PER_SECOND;
    if events != 2 * messages {
        return Err(format!("{messages} messages caused {events} events, not two each").into());
    }
    latencies(sent, arrivals, report);
    with_listeners.report(messages, "(l) send with listeners", None, report);
    without_listeners.report(messages, "(l) send without listeners", None, report);
    let delivered = with_listeners.minus(without_listeners).minus(idle);
    delivered.report(events, "(l) delivered event", Some(DELIVERY_TARGET), report);
    Ok(())
}

/// Adds the time from sending the request, and from reading its response, until the recipient has
/// read the event.
fn latencies(mut sent: Vec<Sent>, mut arrivals: Vec<(u32, Instant)>, report: &mut Report) {
    sent.sort_by_key(|sent| sent.number);
    arrivals.sort_by_key(|(number, _)| *number);
    let latencies = |from: fn(&Sent) -> Instant| {
        let both = sent.iter().zip(&arrivals);
        let mut all: Vec<_> = both
            .map(|(sent, (_, at))| milliseconds(from(sent), *at))
            .collect();
        all.sort_by(f64::total_cmp);
        all
    };
    for (what, all) in [
        ("request to event", latencies(|sent| sent.requested)),
        ("response to event", latencies(|sent| sent.accepted)),
    ] {
        for percent in [50, 99] {
            let name = format!("(l) {what}, p{percent}, ms");
            report.figure(&name, all[all.len() * percent / 100], 2, None);
        }
    }
    let first = sent.iter().map(|sent| sent.requested).min();
    let last = sent.iter().map(|sent| sent.accepted).max();
    if let (Some(first), Some(last)) = (first, last) {
        let per_second = f64::from(SECONDS * MESSAGES_PER_SECOND) / (last - first).as_secs_f64();
        report.figure("(l) messages per second", per_second, 0, None);
    }
}

/// Milliseconds from one instant to another; negative if `to` is the earlier one.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    let after = to.saturating_duration_since(from).as_secs_f64();
    let before = from.saturating_duration_since(to).as_secs_f64();
    (after - before) * 1e3
}

/// Measures connections without events.
async fn idle_connections(
    mut bench: Bench<'_>,
    connections: u32,
    report: &mut Report,
) -> Outcome<()> {
    let address = bench.service.address();
    let earlier = Listeners::connect(address, EARLIER_CONNECTIONS).await?;
    earlier.disconnect().await;
    wait(bench.interrupt, EXPIRY).await?;
    let before = (bench.service.memory()?, bench.redis.used_memory()?);
    let mut listeners = Listeners::connect(address, connections).await?;
    wait(bench.interrupt, RENEWAL).await?;
    let ((), cost) = Cost::of(&bench, wait(bench.interrupt, IDLE_SECONDS)).await?;
    listeners.check()?;
    let after = (bench.service.memory()?, bench.redis.used_memory()?);
    listeners.disconnect().await;
    let each = |bytes: f64| bytes / f64::from(connections);
    report.figure("(m) idle connections", f64::from(connections), 0, None);
    let name = "(m) one in the service's memory, bytes";
    let target = Some(Target::AtMost(MEMORY_TARGET));
    report.figure(name, each(after.0 - before.0), 0, target);
    let name = "(m) one in the memory of Redis, bytes";
    report.figure(name, each(after.1 - before.1), 0, None);
    cost.report(
        connections * IDLE_SECONDS,
        "(m) one for a second",
        None,
        report,
    );
    Ok(())
}

/// Waits; fails at once if the run is interrupted.
async fn wait(interrupt: &Interrupt, seconds: u32) -> Outcome<()> {
    for _ in 0..seconds {
        interrupt.check()?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
