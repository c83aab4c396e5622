//! The rows of growing data: the same operation on short and long conversations, few and many users, short and
//! long inboxes, small and large rooms.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use crate::bench::Bench;
use crate::load::{History, Load};
use crate::messages::user;
use crate::process::Server;
use crate::redis_server::RedisServer;
use crate::report::{Report, Row, Target, text};
use crate::requests::{ROUNDS, SECONDS};
use crate::rooms::{Sender, create_room};
use crate::store::Redis;
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// Messages of a conversation. Those of at most `TRIMMED` are trimmed while they receive messages.
const MESSAGES: [u32; 4] = [10, 1_000, 100_000, 1_000_000];
const TRIMMED: u32 = 1_000;
/// Users of a store, each with one conversation.
const USERS: [u32; 3] = [100, 10_000, 1_000_000];
/// Conversations of an inbox.
const CONVERSATIONS: [u32; 3] = [10, 1_000, 100_000];
/// Members of a room, and messages of a round to each.
const MEMBERS: [u32; 4] = [2, 10, 100, 1_000];
const ROOM_MESSAGES: u32 = 40;
/// Messages of an import. One of more could take longer than a program may.
const IMPORTED_AT_ONCE: usize = 25_000;
/// Maximum cost of a conversation of a million messages relative to one of ten. Anything less is noise of a shared
/// machine, not growth.
const CONVERSATION_TARGET: f64 = 1.25;
/// Maximum cost for an inbox of 100,000 relative to one of ten.
const INBOX_TARGET: f64 = 1.5;

/// An operation, and its cost for each size of its data.
struct Series {
    name: &'static str,
    /// For the last size, relative to the first.
    target: Option<f64>,
    rows: Vec<(u32, Row)>,
}

impl Series {
    fn new(name: &'static str, sizes: &[u32], target: Option<f64>) -> Self {
        let rows = sizes.iter().map(|size| (*size, Row::new(name)));
        Self {
            name,
            target,
            rows: rows.collect(),
        }
    }

    /// Runs rounds that alternate between the sizes; `measure` measures the size at an index. The first round is
    /// a warm-up.
    fn run(mut self, mut measure: impl FnMut(usize) -> Outcome<(Load, f64, f64)>) -> Outcome<Self> {
        for round in 0..=ROUNDS {
            for (index, (_, row)) in self.rows.iter_mut().enumerate() {
                let (load, service, redis) = measure(index)?;
                if round > 0 {
                    row.add(&load, Some(service), Some(redis));
                }
            }
        }
        Ok(self)
    }

    /// The costs for each size, and those of the last relative to those of the first.
    fn line(&self, report: &mut Report) -> String {
        let sizes: Vec<_> = self.rows.iter().map(|(size, _)| grouped(*size)).collect();
        let (service, service_ratio) = self.costs(Row::service);
        let (redis, redis_ratio) = self.costs(Row::redis);
        let ratios = [service_ratio, redis_ratio];
        let worst = ratios.iter().flatten().copied().fold(0.0, f64::max);
        let verdict = report.verdict(self.name, worst, self.target.map(Target::AtMost));
        let [service_ratio, redis_ratio] = ratios.map(|ratio| text(ratio, 2));
        format!(
            "| {:<33} | {:<32} | {service:<27} | {service_ratio:>5} | {redis:<27} | {redis_ratio:>5} | {verdict:<21} |\n",
            self.name,
            sizes.join(" / "),
        )
    }

    /// A figure for each size as text, and the ratio of the last to the first.
    fn costs(&self, figure: fn(&Row) -> Option<f64>) -> (String, Option<f64>) {
        let figures: Vec<_> = self.rows.iter().map(|(_, row)| figure(row)).collect();
        let ratio = match figures[..] {
            [Some(first), .., Some(last)] => Some(last / first),
            _ => None,
        };
        let figures: Vec<_> = figures.into_iter().map(|figure| text(figure, 1)).collect();
        (figures.join(" / "), ratio)
    }
}

/// A number with a comma between thousands.
fn grouped(number: u32) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

/// Measures the rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    let start = || Bench::start(interrupt, "everysec", workers, &[]);
    eprintln!("measuring short and long conversations ...");
    let mut series = conversations(start()?)?;
    eprintln!("measuring few and many users ...");
    series.push(users(USERS.map(|_| start()))?);
    eprintln!("measuring short and long inboxes ...");
    series.extend(inboxes(&start()?)?);
    eprintln!("measuring small and large rooms ...");
    series.extend(rooms(interrupt, workers)?);
    let mut table = format!(
        "\n| {:<33} | {:<32} | {:<27} | {:>5} | {:<27} | {:>5} | {:<21} |\n",
        "growing data", "sizes", "service", "ratio", "Redis", "ratio", "target"
    );
    table += "|---|---|---|--:|---|--:|---|\n";
    for series in series {
        table += &series.line(report);
    }
    report.add_table(&table);
    Ok(())
}

/// Measures pages and sends of conversations.
fn conversations(mut bench: Bench<'_>) -> Outcome<Vec<Series>> {
    let names = |index: usize| (format!("ann{index}"), format!("ben{index}"));
    for (index, size) in MESSAGES.iter().enumerate() {
        let (ann, ben) = names(index);
        bench.redis.fill(&ann, &ben, *size)?;
    }
    let dir = bench.dir.path();
    let page = |name: &'static str, target, query: &dyn Fn(u32) -> String| {
        let series = Series::new(name, &MESSAGES, target);
        series.run(|index| {
            let (ann, ben) = names(index);
            let path = format!(
                "/conversations/{ben}/{ann}?limit=10{}",
                query(MESSAGES[index])
            );
            bench.measure(&Requests::reads(dir, "page.lua", &path)?, SECONDS)
        })
    };
    let target = Some(CONVERSATION_TARGET);
    let newest = page("newest 10, messages", target, &|_| String::new())?;
    // Redis walks the list to the middle, so the cost of this grows. The archive bounds the list.
    let middle = page("10 in the middle, messages", None, &|size| {
        format!("&before={}", size / 2 + 6)
    })?;
    let sends = Series::new("send, messages", &MESSAGES, target);
    let sends = sends.run(|index| {
        let (ann, ben) = names(index);
        let requests = Requests::sends_between(dir, &ann, &ben)?;
        let connection = Redis::connect(&bench.redis.socket)?;
        let trim = |redis: &mut Redis| match MESSAGES[index] {
            size @ ..=TRIMMED => redis.trim(&ann, &ben, size),
            _ => Ok(()),
        };
        meanwhile(connection, trim, || bench.measure(&requests, SECONDS))
    })?;
    Ok(vec![sends, newest, middle])
}

/// Does some work while a thread trims the conversation, where it is short: it would be long after a second of
/// sends.
fn meanwhile<T: Send>(
    mut redis: Redis,
    trim: impl Fn(&mut Redis) -> Outcome<()> + Sync,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    let done = AtomicBool::new(false);
    scope(|threads| {
        let trimmer = threads.spawn(|| -> Outcome<()> {
            while !done.load(Ordering::Acquire) {
                trim(&mut redis)?;
                sleep(Duration::from_millis(5));
            }
            trim(&mut redis)
        });
        let result = work();
        done.store(true, Ordering::Release);
        trimmer.join().map_err(|_| "the trimmer panicked")??;
        result
    })
}

/// Measures sends in stores of few and many users, each on a service of its own.
fn users(benches: [Outcome<Bench<'_>>; USERS.len()]) -> Outcome<Series> {
    let benches = benches.into_iter().collect::<Outcome<Vec<_>>>()?;
    for (bench, users) in benches.iter().zip(USERS) {
        let pairs = (0..users).step_by(2).map(|one| (user(one), user(one + 1)));
        import(bench, &pairs.collect::<Vec<_>>())?;
    }
    Series::new("send, users of the store", &USERS, None).run(|index| {
        let bench = &benches[index];
        let requests = Requests::sends_among(bench.dir.path(), USERS[index])?;
        bench.measure(&requests, SECONDS)
    })
}

/// Measures the first page and the totals of inboxes, and sends to their users.
fn inboxes(bench: &Bench<'_>) -> Outcome<[Series; 3]> {
    let dir = bench.dir.path();
    for size in CONVERSATIONS {
        let conversation = |number| (format!("peer{number}"), format!("with{size}"));
        import(bench, &(0..size).map(conversation).collect::<Vec<_>>())?;
    }
    let run = |name, requests: &dyn Fn(u32) -> Outcome<Requests>| {
        let series = Series::new(name, &CONVERSATIONS, Some(INBOX_TARGET));
        series.run(|index| bench.measure(&requests(CONVERSATIONS[index])?, SECONDS))
    };
    let read = |path: String| Requests::reads(dir, "inbox.lua", &path);
    Ok([
        run("first 10 of an inbox", &|size| {
            read(format!("/conversations/with{size}?limit=10"))
        })?,
        run("unread of an inbox", &|size| {
            read(format!("/users/with{size}/unread"))
        })?,
        run("send, conversations of recipient", &|size| {
            Requests::sends_between(dir, "peer1", &format!("with{size}"))
        })?,
    ])
}

/// Imports a message for each pair of sender and recipient.
fn import(bench: &Bench<'_>, pairs: &[(String, String)]) -> Outcome<()> {
    for pairs in pairs.chunks(IMPORTED_AT_ONCE) {
        bench.interrupt.check()?;
        let pairs = pairs.iter().cloned();
        let history = History::write(bench.dir.path(), "growth.ndjson", pairs)?;
        history.import(&bench.service.url)?;
    }
    Ok(())
}

/// Measures the time of Redis for a message to rooms: the send, and for each member the filing.
fn rooms(interrupt: &Interrupt, workers: usize) -> Outcome<[Series; 2]> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut redis = RedisServer::start(&[])?;
    let url = format!("redis://{}", redis.address());
    let largest = [("DUOLOGUE_ROOM_MEMBERS", "1000")];
    let service = Server::duologue_on(&url, workers, &largest)?;
    for members in MEMBERS {
        let room = format!("of{members}");
        runtime.block_on(create_room(service.address(), &room, members))?;
    }
    drop(service);
    let mut sender = Sender::new(&url, &mut redis)?;
    let mut series = [
        Series::new("send to a room, members", &MEMBERS, None),
        Series::new("filing for a member, members", &MEMBERS, None),
    ];
    for round in 0..=ROUNDS {
        for (index, members) in MEMBERS.into_iter().enumerate() {
            interrupt.check()?;
            let times = runtime.block_on(time_messages(&mut sender, members))?;
            let messages = [ROOM_MESSAGES, ROOM_MESSAGES * members];
            for ((series, time), requests) in series.iter_mut().zip(times).zip(messages) {
                let load = Load {
                    requests,
                    per_second: 0.0,
                    p50: None,
                    p99: None,
                };
                if round > 0 {
                    series.rows[index].1.add(&load, None, Some(time));
                }
            }
        }
    }
    Ok(series)
}

/// Microseconds of Redis for sending some messages to a room, and for filing them one by one.
async fn time_messages(sender: &mut Sender<'_>, members: u32) -> Outcome<[f64; 2]> {
    let room = format!("of{members}");
    let (mut sends, mut filings) = (0.0, 0.0);
    for _ in 0..ROOM_MESSAGES {
        let send = async |sender: &mut Sender<'_>| sender.send_to_room(&room).await;
        sends += sender.time(send).await?;
        filings += sender
            .time(async |sender: &mut Sender<'_>| sender.file().await)
            .await?;
    }
    Ok([sends, filings])
}
