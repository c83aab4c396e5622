//! The rows of webhooks: events that the service sends to an endpoint which takes each at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::bench::Bench;
use crate::messages::{number_of, user};
use crate::process::cpu;
use crate::report::Report;
use crate::sockets::{Sent, request, send_each};
use crate::subscriptions::{lag, subscribe};
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// Seconds of sending messages that are delivered afterwards.
const SECONDS: u32 = 1;
/// Messages per second while the time until delivery is measured, and seconds of that.
const RATE: u32 = 100;
const RATE_SECONDS: u32 = 10;
/// Users of these messages.
const USERS: u32 = 1_000;
/// How long the delivery of all events may take.
const DELIVERY: Duration = Duration::from_secs(60);

/// The number of a message that was delivered, if its body has one, and when.
type Arrival = (Option<u32>, Instant);

/// An endpoint on a thread of its own.
struct Endpoint {
    url: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Endpoint {
    fn start() -> Outcome<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}/events", listener.local_addr()?);
        let arrivals = Arc::default();
        let endpoint = Self { url, arrivals };
        let arrivals = endpoint.arrivals.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::spawn(move || runtime.block_on(accept(listener, arrivals)));
        Ok(endpoint)
    }

    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        lock(&self.arrivals)
    }

    /// Waits for a number of events and takes them.
    async fn wait_for(&self, count: u32) -> Outcome<Vec<Arrival>> {
        let begin = Instant::now();
        while self.arrivals().len() < count as usize {
            if begin.elapsed() > DELIVERY {
                return Err(format!("not delivered within {DELIVERY:?}").into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(std::mem::take(&mut *self.arrivals()))
    }
}

fn lock(arrivals: &Mutex<Vec<Arrival>>) -> MutexGuard<'_, Vec<Arrival>> {
    arrivals.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, arrivals: Arc<Mutex<Vec<Arrival>>>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take_all(stream, arrivals.clone()));
    }
}

/// Takes the events of a connection until it ends.
async fn take_all(mut stream: TcpStream, arrivals: Arc<Mutex<Vec<Arrival>>>) {
    while let Some(body) = read_request(&mut stream).await {
        let text = body.split(r#""body":""#).nth(1);
        lock(&arrivals).push((text.and_then(number_of), Instant::now()));
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// The body of the next request; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = std::str::from_utf8(&bytes).ok()?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut headers = head.lines().filter_map(|line| line.split_once(": "));
            let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
            if body.len() >= length.1.parse::<usize>().ok()? {
                return Some(body.to_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Measures the rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    eprintln!("measuring webhooks ...");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    let endpoint = Endpoint::start()?;
    let settings =
        |paused| json!({"url": endpoint.url, "types": ["message.created"], "paused": paused});
    let address = bench.service.address();
    runtime.block_on(subscribe(address, "reader", &settings(true)))?;
    let sends = Requests::sends_with(bench.dir.path(), "sends.lua", &[])?;
    bench.measure(&sends, SECONDS)?;
    runtime.block_on(async {
        let events = lag(address).await?;
        let before = (bench.service.cpu()?, cpu(bench.redis.pid)?);
        let path = "/subscriptions/reader";
        request(address, "PUT", path, &settings(false).to_string()).await?;
        let arrivals = endpoint.wait_for(events).await?;
        let after = (bench.service.cpu()?, cpu(bench.redis.pid)?);
        let count = f64::from(events);
        report.figure(
            "(s) webhooks: events per second",
            count / seconds(&arrivals),
            0,
            None,
        );
        let name = "(s) webhooks, an event: service CPU, us";
        report.figure(name, (after.0 - before.0) / count, 1, None);
        let name = "(s) webhooks, an event: Redis CPU, us";
        report.figure(name, (after.1 - before.1) / count, 1, None);
        interrupt.check()?;
        let interval = Duration::from_secs(1) / RATE;
        let neighbours = |number| (user(number % USERS), user((number % USERS) ^ 1));
        let sent = send_each(address, RATE * RATE_SECONDS, interval, neighbours).await?;
        let arrivals = endpoint.wait_for(RATE * RATE_SECONDS).await?;
        report_latencies(&sent, &arrivals, report);
        Ok(())
    })
}

/// The seconds from the first arrival to the last.
fn seconds(arrivals: &[Arrival]) -> f64 {
    let times = || arrivals.iter().map(|(_, at)| *at);
    let ends = times().min().zip(times().max());
    ends.map_or(f64::NAN, |(first, last)| (last - first).as_secs_f64())
}

/// Adds the milliseconds from the request of a message to the arrival of its event.
fn report_latencies(sent: &[Sent], arrivals: &[Arrival], report: &mut Report) {
    let mut requested: Vec<_> = sent
        .iter()
        .map(|sent| (sent.number, sent.requested))
        .collect();
    requested.sort_unstable();
    let mut latencies: Vec<_> = arrivals
        .iter()
        .filter_map(|(number, at)| {
            let (_, requested) = requested.get(usize::try_from((*number)?).ok()?)?;
            Some(at.saturating_duration_since(*requested).as_secs_f64() * 1e3)
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    for percent in [50, 99] {
        let name = format!("(s) webhooks at {RATE}/s, request to event, p{percent}, ms");
        report.figure(&name, latencies[latencies.len() * percent / 100], 1, None);
    }
}
