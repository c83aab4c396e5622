//! What is measured, in what order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use duologue::auth::{Rules, Secret, TokenRequest};
use tempfile::TempDir;

use crate::load::{CONNECTIONS, History, Load, Requests, bare_script, send_one};
use crate::process::{Server, cpu};
use crate::report::{Report, Row};
use crate::store::Redis;
use crate::{Interrupt, Outcome, live};

/// Rounds of each row. Odd, so that one of them is the median.
const ROUNDS: usize = 3;
/// Seconds of a round, and of warming up before the first. Rows (a) to (d) take turns more slowly
/// with `everysec`, for which they have targets.
const SECONDS: u32 = 1;
const LONGER: u32 = 2;
const WARM_UP: u32 = 1;
/// The sizes of the conversations that are read, sent to, and compared.
const PAGED: u32 = 100_000;
const LONG: u32 = 1_000_000;
/// The sizes of the inboxes that are compared.
const FEW: u32 = 20;
const MANY: u32 = 10_000;
/// Requests in flight where Redis is to have little to do, and the rounds of that: the less other
/// work came between, the better, so the least of them counts.
const IN_FLIGHT: u32 = 4;
const QUIET_ROUNDS: usize = 5;
/// Messages of an import, and between how many pairs they are.
const IMPORTED: u32 = 40_000;
const IMPORTED_PAIRS: u32 = 2_000;

/// Measures everything and prints it as it is there; answers which targets were missed.
pub fn run(interrupt: &Interrupt, workers: usize, only_live: bool) -> Outcome<Vec<String>> {
    let mut report = Report::new(workers);
    if !only_live {
        requests(interrupt, workers, &mut report)?;
    }
    live::measure(interrupt, workers, &mut report)?;
    report.print();
    Ok(report.missed())
}

/// What requests cost.
fn requests(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    for (fsync, seconds) in [("everysec", LONGER), ("always", SECONDS)] {
        eprintln!("measuring with fsync {fsync} ...");
        let bench = Bench::start(interrupt, fsync, workers, &[])?;
        let rows = bench.compare(seconds)?;
        report.compared(fsync, &rows);
    }
    eprintln!("measuring short and long conversations ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    report.grown(&bench.grow()?);
    eprintln!("measuring users with tokens ...");
    report.guarded(&guarded(interrupt, workers)?);
    eprintln!("measuring sends one by one ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    let (times, appended) = bench.alone()?;
    report.alone(times, appended);
    eprintln!("measuring inboxes ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    report.listed(&bench.list()?);
    eprintln!("measuring imports and memory ...");
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    report.imported(&bench.import()?);
    let bench = Bench::start(interrupt, "everysec", workers, &[])?;
    bench.weigh(report)
}

/// A service with a Redis and a folder of its own.
pub struct Bench<'a> {
    // Before the folder, because a field that stands first is dropped first.
    pub service: Server,
    pub redis: Redis,
    dir: TempDir,
    pub interrupt: &'a Interrupt,
}

impl<'a> Bench<'a> {
    pub fn start(
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
    fn compare(mut self, seconds: u32) -> Outcome<[Row; 5]> {
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
        sends.send(&baseline.url, WARM_UP, CONNECTIONS)?;
        sends.send(&pinging.url, WARM_UP, CONNECTIONS)?;
        self.measure(&sends, WARM_UP)?;
        self.measure(&page, WARM_UP)?;
        let pace = bare_script(&mut self.redis, 50_000)?.per_second;
        for _ in 0..ROUNDS {
            self.interrupt.check()?;
            for (row, server) in [(0, &baseline), (1, &pinging)] {
                let before = server.cpu()?;
                let load = sends.send(&server.url, seconds, CONNECTIONS)?;
                rows[row].add(&load, Some(server.cpu()? - before), None);
            }
            let (load, redis) = self.bare(pace * f64::from(seconds))?;
            rows[2].add(&load, None, Some(redis));
            for (row, requests) in [(3, &sends), (4, &page)] {
                let (load, service, redis) = self.measure(requests, seconds)?;
                rows[row].add(&load, Some(service), Some(redis));
            }
        }
        Ok(rows)
    }

    /// A round of sends or reads, with the CPU of service and Redis in microseconds.
    fn measure(&self, requests: &Requests, seconds: u32) -> Outcome<(Load, f64, f64)> {
        self.measure_any(|url| requests.send(url, seconds, CONNECTIONS))
    }

    /// The same of any work on the service at an address.
    fn measure_any(&self, work: impl FnOnce(&str) -> Outcome<Load>) -> Outcome<(Load, f64, f64)> {
        self.interrupt.check()?;
        let before = (self.service.cpu()?, cpu(self.redis.pid)?);
        let load = work(&self.service.url)?;
        let after = (self.service.cpu()?, cpu(self.redis.pid)?);
        Ok((load, after.0 - before.0, after.1 - before.1))
    }

    /// A round of the bare script. It takes a number of calls and not a time, so it gets a number
    /// that takes about as long at the pace of its warm-up, within what memory is good for.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn bare(&mut self, calls: f64) -> Outcome<(Load, f64)> {
        let calls = calls.clamp(50_000.0, 300_000.0) as u32;
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
                let kept_short = Redis::connect(&self.redis.socket)?;
                let (load, service, redis) =
                    trimming(kept_short, row == 0, || self.measure(requests, SECONDS))?;
                if round > 0 {
                    rows[row].add(&load, Some(service), Some(redis));
                }
            }
        }
        Ok(rows)
    }

    /// The time that Redis takes for the bare script and for a send: by its own clock, so whatever
    /// interrupts it counts too; and the bytes that a send appends to its file.
    fn alone(mut self) -> Outcome<([f64; 3], f64)> {
        let one = Requests::sends_between(self.dir.path(), "ann", "ben")?;
        let many = Requests::sends(self.dir.path())?;
        self.measure(&many, WARM_UP)?;
        let mut least = [f64::INFINITY; 3];
        let mut appended = (0.0, 0.0);
        for _ in 0..QUIET_ROUNDS {
            self.interrupt.check()?;
            let mut marks = vec![self.redis.scripts()?];
            bare_script(&mut self.redis, 20_000)?;
            marks.push(self.redis.scripts()?);
            let before = self.redis.appended()?;
            for sends in [&one, &many] {
                sends.send(&self.service.url, 1, IN_FLIGHT)?;
                marks.push(self.redis.scripts()?);
                if marks.len() == 3 {
                    appended.0 += self.redis.appended()? - before;
                    appended.1 += marks[2].0 - marks[1].0;
                }
            }
            for (least, mark) in least.iter_mut().zip(marks.windows(2)) {
                *least = least.min((mark[1].1 - mark[0].1) / (mark[1].0 - mark[0].0));
            }
        }
        Ok((least, appended.0 / appended.1))
    }

    /// The first page and the totals of a short and of a long inbox.
    fn list(self) -> Outcome<[Row; 4]> {
        let dir = self.dir.path();
        let conversations = |user: &'static str, count| {
            (0..count).map(move |number| (format!("peer{number:05}"), user.to_owned()))
        };
        let history = conversations("few", FEW).chain(conversations("many", MANY));
        History::write(dir, "inboxes.ndjson", history)?.import(&self.service.url)?;
        let plan = [
            Requests::reads(dir, "few.lua", "/conversations/few?limit=20")?,
            Requests::reads(dir, "many.lua", "/conversations/many?limit=20")?,
            Requests::reads(dir, "few-unread.lua", "/users/few/unread")?,
            Requests::reads(dir, "many-unread.lua", "/users/many/unread")?,
        ];
        let mut rows = [
            Row::new("first 20 of an inbox of 20"),
            Row::new("(h) first 20 of an inbox of 10,000"),
            Row::new("unread of an inbox of 20"),
            Row::new("(i) unread of an inbox of 10,000"),
        ];
        for round in 0..=ROUNDS {
            for (row, requests) in plan.iter().enumerate() {
                let (load, service, redis) = self.measure(requests, SECONDS)?;
                if round > 0 {
                    rows[row].add(&load, Some(service), Some(redis));
                }
            }
        }
        Ok(rows)
    }

    /// Imports of files that are ordered by conversation, and by time alone.
    fn import(self) -> Outcome<[Row; 2]> {
        let dir = self.dir.path();
        let each = IMPORTED / IMPORTED_PAIRS;
        let mut rows = [
            Row::new("(j) import by conversation"),
            Row::new("(j) import by time"),
        ];
        for round in 0..ROUNDS {
            let message = |pair| {
                let user = |side| format!("{side}{round}{pair:05}");
                (user("left"), user("right"))
            };
            let by_conversation = (0..IMPORTED).map(|number| message(number / each));
            let by_time =
                (0..IMPORTED).map(|number| message(IMPORTED_PAIRS + number % IMPORTED_PAIRS));
            let files = [
                History::write(dir, "by-conversation.ndjson", by_conversation)?,
                History::write(dir, "by-time.ndjson", by_time)?,
            ];
            for (row, history) in files.iter().enumerate() {
                let (load, service, redis) = self.measure_any(|url| history.import(url))?;
                rows[row].add(&load, Some(service), Some(redis));
            }
        }
        Ok(rows)
    }

    /// What messages and conversations take in memory.
    fn weigh(mut self, report: &mut Report) -> Outcome<()> {
        const MESSAGES: usize = 1_000;
        /// Every two of them have a conversation.
        const USERS: u32 = 46;
        const CONVERSATIONS: u32 = USERS * (USERS - 1) / 2;
        for one in 0..USERS {
            self.interrupt.check()?;
            for other in 0..one {
                let user = |number: u32| format!("user{number:05}");
                send_one(&self.service.url, &user(one), &user(other))?;
            }
        }
        let mut kinds = self.redis.weigh_all()?;
        kinds.retain(|kind, _| kind != "store");
        for bytes in kinds.values_mut() {
            *bytes /= f64::from(CONVERSATIONS);
        }
        let users = ("user90001".to_owned(), "user90002".to_owned());
        let history = std::iter::repeat_n(users.clone(), MESSAGES);
        History::write(self.dir.path(), "long.ndjson", history)?.import(&self.service.url)?;
        let (messages, json, bytes) = self.redis.weigh(&users.0, &users.1)?;
        report.weighed(json / messages, bytes / messages, &kinds);
        Ok(())
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
            let (load, service, redis) = bench.measure(requests, SECONDS)?;
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
            let issuance = TokenRequest {
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
