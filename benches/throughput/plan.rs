//! What is measured, in what order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use duologue::auth::{Issuance, Rules, Secret};
use tempfile::TempDir;

use crate::load::{Load, Requests, bare_script};
use crate::process::{Server, cpu};
use crate::report::{Report, Row};
use crate::store::Redis;
use crate::{Interrupt, Outcome};

/// Rounds of each row. Odd, so that one of them is the median.
const ROUNDS: usize = 3;
/// Seconds of a round, and of warming up before the first.
const SECONDS: u32 = 3;
const WARM_UP: u32 = 1;
/// The sizes of the conversations that are read, sent to, and compared.
const PAGED: u32 = 100_000;
const LONG: u32 = 1_000_000;

/// Measures everything and prints it as it is there; answers which targets were missed.
pub fn run(interrupt: &Interrupt, workers: usize) -> Outcome<Vec<String>> {
    let mut report = Report::new(workers);
    for fsync in ["everysec", "always"] {
        eprintln!("measuring with fsync {fsync} ...");
        let bench = Bench::start(interrupt, fsync, workers, &[])?;
        let rows = bench.compare()?;
        report.compared(fsync, &rows);
    }
    eprintln!("measuring short and long conversations ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    report.grown(&bench.grow()?);
    eprintln!("measuring users with tokens ...");
    report.guarded(&guarded(interrupt, workers)?);
    report.print();
    Ok(report.missed())
}

/// A service with a Redis and a folder of its own.
struct Bench<'a> {
    // Before the folder, because a field that stands first is dropped first.
    service: Server,
    redis: Redis,
    dir: TempDir,
    interrupt: &'a Interrupt,
}

impl<'a> Bench<'a> {
    fn start(
        interrupt: &'a Interrupt,
        fsync: &str,
        workers: usize,
        settings: &[(&str, &str)],
    ) -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("duologue-").tempdir()?;
        let data = dir.path().join("data");
        let (service, redis) = Server::duologue(&data, fsync, workers, settings)?;
        Ok(Self {
            service,
            redis,
            dir,
            interrupt,
        })
    }

    /// The rows of one durability, in rounds that take turns.
    fn compare(mut self) -> Outcome<[Row; 5]> {
        let dir = self.dir.path();
        self.redis.fill("ann", "ben", PAGED)?;
        let sends = Requests::sends(dir)?;
        let page = Requests::reads(dir, "page.lua", "/conversations/ben/ann?limit=50")?;
        let baseline = Server::baseline(None)?;
        let pinging = Server::baseline(Some(&self.redis.socket))?;
        let mut rows = [
            Row::new("(a) actix parses and answers"),
            Row::new("(p) the same after a Redis PING"),
            Row::new("(b) bare script, redis-benchmark"),
            Row::new("(c) POST /messages"),
            Row::new("(d) GET a page of 50 of 100,000"),
        ];
        sends.send(&baseline.url, WARM_UP)?;
        sends.send(&pinging.url, WARM_UP)?;
        self.measure(&sends, WARM_UP)?;
        self.measure(&page, WARM_UP)?;
        let pace = bare_script(&mut self.redis, 50_000)?.per_second;
        for _ in 0..ROUNDS {
            self.interrupt.check()?;
            for (row, server) in [(0, &baseline), (1, &pinging)] {
                let before = server.cpu()?;
                let load = sends.send(&server.url, SECONDS)?;
                rows[row].add(&load, Some(server.cpu()? - before), None);
            }
            let (load, redis) = self.bare(pace)?;
            rows[2].add(&load, None, Some(redis));
            for (row, requests) in [(3, &sends), (4, &page)] {
                let (load, service, redis) = self.measure(requests, SECONDS)?;
                rows[row].add(&load, Some(service), Some(redis));
            }
        }
        Ok(rows)
    }

    /// A round of sends or reads, with the CPU of service and Redis in microseconds.
    fn measure(&self, requests: &Requests, seconds: u32) -> Outcome<(Load, f64, f64)> {
        self.interrupt.check()?;
        let before = (self.service.cpu()?, cpu(self.redis.pid)?);
        let load = requests.send(&self.service.url, seconds)?;
        let after = (self.service.cpu()?, cpu(self.redis.pid)?);
        Ok((load, after.0 - before.0, after.1 - before.1))
    }

    /// A round of the bare script. It takes a number of calls and not a time, so it gets a number
    /// that takes about as long at the pace of its warm-up, within what memory is good for.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn bare(&mut self, pace: f64) -> Outcome<(Load, f64)> {
        let calls = (pace * f64::from(SECONDS)).clamp(50_000.0, 300_000.0) as u32;
        // Emptied here already, so that it is not measured.
        self.redis.forget_bare()?;
        let before = cpu(self.redis.pid)?;
        let load = bare_script(&mut self.redis, calls)?;
        Ok((load, cpu(self.redis.pid)? - before))
    }

    /// The same sends and reads in a short and in a long conversation.
    fn grow(mut self) -> Outcome<[Row; 4]> {
        self.redis.fill("ann", "ben", 10)?;
        self.redis.fill("cat", "dan", LONG)?;
        let dir = self.dir.path();
        let plan = [
            Requests::sends_between(dir, "ann", "ben")?,
            Requests::sends_between(dir, "cat", "dan")?,
            Requests::reads(dir, "short.lua", "/conversations/ben/ann?limit=10")?,
            Requests::reads(dir, "long.lua", "/conversations/dan/cat?limit=10")?,
        ];
        let mut rows = [
            Row::new("send, conversation of 10"),
            Row::new("send, conversation of 1,000,000"),
            Row::new("read the newest 10 of 10"),
            Row::new("read the newest 10 of 1,000,000"),
        ];
        for round in 0..=ROUNDS {
            for (row, requests) in plan.iter().enumerate() {
                let seconds = if round == 0 { WARM_UP } else { SECONDS - 1 };
                let kept_short = Redis::connect(&self.redis.socket)?;
                let (load, service, redis) =
                    trimming(kept_short, row == 0, || self.measure(requests, seconds))?;
                if round > 0 {
                    rows[row].add(&load, Some(service), Some(redis));
                }
            }
        }
        Ok(rows)
    }
}

/// The same sends to a service that asks nobody who they are, to one that asks for a token, and to
/// one that also charges for each send: at the default rate, with a bucket that nobody empties.
fn guarded(interrupt: &Interrupt, workers: usize) -> Outcome<[Row; 3]> {
    const SECRET: (&str, &str) = (
        "DUOLOGUE_JWT_SECRET",
        "a secret of the benchmark, 32 bytes and more",
    );
    const UNLIMITED: (&str, &str) = ("DUOLOGUE_SEND_RATE", "0");
    const LIMITED: (&str, &str) = ("DUOLOGUE_SEND_RATE", "20:1000000");
    let start = |settings| Bench::start(interrupt, "everysec", workers, settings);
    let (open, tokens, limits) = (
        start(&[])?,
        start(&[SECRET, UNLIMITED])?,
        start(&[SECRET, LIMITED])?,
    );
    let (dir, minted) = (open.dir.path(), mint(SECRET.1)?);
    let nameless = Requests::sends_with(dir, "nameless.lua", &[])?;
    let signed = Requests::sends_with(dir, "signed.lua", &minted)?;
    let plan = [(&open, &nameless), (&tokens, &signed), (&limits, &signed)];
    let mut rows = [
        Row::new("send, open"),
        Row::new("(e) send with a token (HS256)"),
        Row::new("(f) the same, and charged for"),
    ];
    for round in 0..=ROUNDS {
        for (row, (bench, requests)) in plan.iter().enumerate() {
            let seconds = if round == 0 { WARM_UP } else { SECONDS - 1 };
            let (load, service, redis) = bench.measure(requests, seconds)?;
            if round > 0 {
                rows[row].add(&load, Some(service), Some(redis));
            }
        }
    }
    Ok(rows)
}

/// A token for each of those who send with one.
fn mint(secret: &str) -> Outcome<Vec<String>> {
    let (secret, rules) = (secret.parse::<Secret>()?, Rules::default());
    Requests::senders()
        .map(|sender| {
            let issuance = Issuance {
                sub: sender.try_into()?,
                ttl: Duration::from_secs(3600),
            };
            Ok(issuance.mint(&secret, &rules)?)
        })
        .collect()
}

/// Keeps the short conversation short while something runs: every send makes it longer, and after
/// a second it would be a long one.
fn trimming<T: Send>(
    mut redis: Redis,
    wanted: bool,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    let done = AtomicBool::new(!wanted);
    scope(|threads| {
        let trimmer = threads.spawn(|| -> Outcome<()> {
            while !done.load(Ordering::Acquire) {
                redis.trim("ann", "ben")?;
                sleep(Duration::from_millis(5));
            }
            redis.trim("ann", "ben")
        });
        let result = work();
        done.store(true, Ordering::Release);
        trimmer.join().map_err(|_| "the trimmer panicked")??;
        result
    })
}
