//! The rows of subscriptions: what one costs a send, what reading by pull costs, and memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use duologue::metrics::Metrics;
use duologue::model::{FeedStart, Retention, SubscriptionInput, SubscriptionName, WebhookNetworks};
use duologue::store::{SetSubscription, Store};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::bench::Bench;
use crate::messages::{repeat, send_to_user};
use crate::process::cpu;
use crate::redis_server::RedisServer;
use crate::report::{Report, Target};
use crate::sockets::{request, request_over};
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// Rounds of sends, of which the fastest counts, and messages of a round.
const ROUNDS: u32 = 7;
const SENDS: u32 = 1_000;
/// Maximum time of Redis for a send while there is a subscription, relative to one without.
const SEND_TARGET: f64 = 1.12;
/// Seconds of sending messages that are read afterwards.
const SECONDS: u32 = 2;
/// Consumers that read concurrently, and events that each takes at once.
const CONSUMERS: u32 = 4;
const TAKEN: u32 = 100;
/// Subscriptions without events.
const IDLE: u32 = 8;
/// How long reading may take.
const READ: Duration = Duration::from_secs(60);

/// Measures the rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    eprintln!("measuring subscriptions ...");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(sends(interrupt, report))?;
    pull(&runtime, interrupt, workers, report)
}

/// Compares the time of Redis for the script of a send with and without a subscription, in rounds that alternate. In one
/// server: two of them differ by 3 %.
async fn sends(interrupt: &Interrupt, report: &mut Report) -> Outcome<()> {
    let mut redis = RedisServer::start(&[])?;
    let (url, metrics) = (format!("redis://{}", redis.address()), Metrics::new());
    let store = Store::new(&url, None, Retention::default(), Arc::new(metrics))?;
    let name = SubscriptionName::try_from("reader".to_owned())?;
    let input = SubscriptionInput::new(&[], &[], FeedStart::End);
    let (settings, _) = input.into_settings(&WebhookNetworks::default())?;
    let subscription = SetSubscription {
        name: &name,
        settings: &settings,
        secret: None,
        only_create: true,
    };
    let [mut without, mut with] = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        interrupt.check()?;
        without = without.min(time_of_sends(&mut redis, &store).await?);
        store.set_subscription(subscription, None).await?;
        with = with.min(time_of_sends(&mut redis, &store).await?);
        store.delete_subscription(&name, None).await?;
    }
    report.figure("(s) a send, Redis time, us", without, 1, None);
    let name = "(s) with a subscription / without";
    report.figure(name, with / without, 2, Some(Target::AtMost(SEND_TARGET)));
    Ok(())
}

/// The time of Redis for the script of a send, in microseconds.
async fn time_of_sends(redis: &mut RedisServer, store: &Store) -> Outcome<f64> {
    send_to_user(store).await?;
    let before = redis.calls_of(&["fcall"])?.1;
    repeat(SENDS, || send_to_user(store)).await?;
    Ok((redis.calls_of(&["fcall"])?.1 - before) / f64::from(SENDS))
}

/// Measures memory, and what it costs to read everything.
fn pull(
    runtime: &tokio::runtime::Runtime,
    interrupt: &Interrupt,
    workers: usize,
    report: &mut Report,
) -> Outcome<()> {
    let mut bench = Bench::start(interrupt, "everysec", workers, &[])?;
    let address = bench.service.address().to_owned();
    runtime.block_on(subscribe(&address, "reader", &json!({})))?;
    let empty = feed_memory(&mut bench)?;
    let sends = Requests::sends_with(bench.dir.path(), "sends.lua", &[])?;
    bench.measure(&sends, SECONDS)?;
    // wrk does not count the requests that are in flight when it ends, so the feeds say how many events there are.
    let events = runtime.block_on(lag(&address))?;
    let stored = feed_memory(&mut bench)? - empty;
    let before = (bench.service.cpu()?, cpu(bench.redis.pid)?);
    let elapsed = runtime.block_on(read(&address, events))?;
    let after = (bench.service.cpu()?, cpu(bench.redis.pid)?);
    let count = f64::from(events);
    let per_second = count / elapsed.as_secs_f64();
    report.figure("(s) pull: events per second", per_second, 0, None);
    let name = "(s) pull, an event: service CPU, us";
    report.figure(name, (after.0 - before.0) / count, 1, None);
    let name = "(s) pull, an event: Redis CPU, us";
    report.figure(name, (after.1 - before.1) / count, 1, None);
    report.figure("(s) memory of an event, bytes", stored / count, 0, None);
    let before = feed_memory(&mut bench)?;
    for number in 0..IDLE {
        let name = format!("idle-{number}");
        runtime.block_on(subscribe(&address, &name, &json!({})))?;
    }
    let idle = (feed_memory(&mut bench)? - before) / f64::from(IDLE);
    let name = "(s) memory of a subscription without events, bytes";
    report.figure(name, idle, 0, None);
    Ok(())
}

/// Creates a subscription.
pub async fn subscribe(address: &str, name: &str, settings: &Value) -> Outcome<()> {
    let path = format!("/subscriptions/{name}");
    request(address, "PUT", &path, &settings.to_string()).await?;
    let deadline = Instant::now() + READ;
    while describe(address, name).await?["state"] == "opening" {
        if Instant::now() > deadline {
            return Err(format!("the subscription {name} does not open").into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn describe(address: &str, name: &str) -> Outcome<Value> {
    let path = format!("/subscriptions/{name}");
    Ok(serde_json::from_str(
        &request(address, "GET", &path, "").await?,
    )?)
}

/// The number of events that the reader has not read.
pub async fn lag(address: &str) -> Outcome<u32> {
    let lag = describe(address, "reader").await?["lag"].as_u64();
    Ok(u32::try_from(lag.ok_or("no lag")?)?)
}

/// The bytes of all feeds, with what their readers have to acknowledge, and of the settings of subscriptions.
fn feed_memory(bench: &mut Bench) -> Outcome<f64> {
    let patterns = ["dm:{*}:feed", "dm:{*}:readers", "dm:subscriptions"];
    let memory = patterns.map(|pattern| bench.redis.memory_of(pattern));
    memory.into_iter().sum()
}

/// Reads and acknowledges this many events by several consumers; returns how long it takes.
async fn read(address: &str, events: u32) -> Outcome<Duration> {
    let (begin, read) = (Instant::now(), &AtomicU32::new(0));
    let consumers = (0..CONSUMERS).map(async |number| {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        while read.load(Ordering::Relaxed) < events {
            if begin.elapsed() > READ {
                return Err("the events could not be read in time".into());
            }
            let taken = take_and_ack(&mut stream, address, number).await?;
            read.fetch_add(taken, Ordering::Relaxed);
        }
        Ok(()) as Outcome<()>
    });
    try_join_all(consumers).await?;
    Ok(begin.elapsed())
}

/// Takes some events and acknowledges them by the last of each partition. Returns their number.
async fn take_and_ack(stream: &mut TcpStream, address: &str, consumer: u32) -> Outcome<u32> {
    const PATH: &str = "/subscriptions/reader";
    let path = format!("{PATH}/events?consumer=worker-{consumer}&limit={TAKEN}");
    let page = request_over(stream, address, "GET", &path, "").await?;
    let page: Value = serde_json::from_str(&page)?;
    let events = page["events"].as_array().ok_or("no events")?;
    if events.is_empty() {
        return Ok(0);
    }
    let ids = events.iter().filter_map(|event| event["id"].as_str());
    let of_partition = ids.map(|id| (id.split('-').next(), id));
    let last: BTreeMap<_, _> = of_partition.collect();
    let last: Vec<_> = last.into_values().collect();
    let ack = json!({"consumer": format!("worker-{consumer}"), "ids": last}).to_string();
    request_over(stream, address, "POST", &format!("{PATH}/ack"), &ack).await?;
    Ok(u32::try_from(events.len())?)
}
