//! The rows of those who watch a room: what a message to it costs two processes and Redis.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::messages::user;
use crate::process::{Server, cpu};
use crate::redis_server::RedisServer;
use crate::report::Report;
use crate::sockets::{Listeners, request, send_each};
use crate::{Interrupt, Outcome};

/// The room that is watched. Its only member is the sender, who does not watch it.
const ROOM: &str = "watched";
const SENDER: u32 = WATCHERS;
const PROCESSES: u32 = 2;
/// Watchers of the room, half of them at each process.
const WATCHERS: u32 = 1_000;
/// Messages per second while the CPU is measured, and for how many seconds.
const MESSAGES_PER_SECOND: u32 = 20;
const SECONDS: u32 = 5;
/// Messages that are sent as fast as the service accepts them.
const BURST: u32 = 50;
/// How long the last events may take to arrive.
const DELIVERY: Duration = Duration::from_secs(15);

/// Measures the rows and adds them to the report.
pub async fn measure(
    interrupt: &Interrupt,
    workers: usize,
    url: &str,
    redis: &mut RedisServer,
    report: &mut Report,
) -> Outcome<()> {
    interrupt.check()?;
    let start = |_| Server::duologue_on(url, workers, &[]);
    let services = (0..PROCESSES).map(start).collect::<Outcome<Vec<_>>>()?;
    let settings = json!({"members": [user(SENDER)], "join": "open"}).to_string();
    let path = format!("/rooms/{ROOM}");
    request(services[0].address(), "PUT", &path, &settings).await?;
    let mut watchers = Vec::new();
    for (first, service) in (0..)
        .step_by((WATCHERS / PROCESSES) as usize)
        .zip(&services)
    {
        let users = first..first + WATCHERS / PROCESSES;
        watchers.push(Listeners::watch(service.address(), ROOM, users).await?);
    }
    let watched = Watched { services, watchers };
    watched.deliver(BURST, Duration::ZERO).await?;
    let messages = SECONDS * MESSAGES_PER_SECOND;
    let before = (
        watched.cpu()?,
        cpu(redis.pid)?,
        redis.calls_of(&["spublish"])?.0,
    );
    watched
        .deliver(messages, Duration::from_secs(1) / MESSAGES_PER_SECOND)
        .await?;
    let after = (
        watched.cpu()?,
        cpu(redis.pid)?,
        redis.calls_of(&["spublish"])?.0,
    );
    let each = |total: f64| total / f64::from(messages);
    let service = each(after.0 - before.0);
    let name = format!("(w) message to {WATCHERS} watchers: services' CPU, us");
    report.figure(&name, service, 0, None);
    let name = "(w) the same for each watcher, us";
    report.figure(name, service / f64::from(WATCHERS), 2, None);
    let name = format!("(w) message to {WATCHERS} watchers: Redis CPU, us");
    report.figure(&name, each(after.1 - before.1), 0, None);
    let name = "(w) publications of a message in Redis";
    report.figure(name, each(after.2 - before.2), 2, None);
    let elapsed = watched.deliver(BURST, Duration::ZERO).await?;
    let per_second = f64::from(BURST * WATCHERS) / elapsed.as_secs_f64();
    report.figure("(w) deliveries per second", per_second, 0, None);
    Ok(())
}

/// The processes and the connections that watch the room.
struct Watched {
    services: Vec<Server>,
    watchers: Vec<Listeners>,
}

impl Watched {
    /// Sends messages at an interval, and returns how long it takes until every watcher has each.
    async fn deliver(&self, messages: u32, interval: Duration) -> Outcome<Duration> {
        let events = || self.watchers.iter().map(Listeners::events).sum::<u32>();
        let wanted = events() + messages * WATCHERS;
        let (address, to) = (self.services[0].address(), format!("room:{ROOM}"));
        let begin = Instant::now();
        send_each(address, messages, interval, |_| (user(SENDER), to.clone())).await?;
        while events() < wanted {
            if begin.elapsed() > DELIVERY {
                return Err(format!("{} of {wanted} events", events()).into());
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(begin.elapsed())
    }

    /// The CPU time that the processes have used so far, in microseconds.
    fn cpu(&self) -> Outcome<f64> {
        self.services.iter().map(Server::cpu).sum()
    }
}
