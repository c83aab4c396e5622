//! The rows of the archive: what a long conversation takes before and after its messages have moved, what moving costs
//! and does to sends, and pages of what has moved.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::bench::Bench;
use crate::load::{Load, send_one};
use crate::prose::Prose;
use crate::report::{Report, Row, Target, text};
use crate::sockets::request_over;
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// Messages of the long conversation.
const MESSAGES: u32 = 1_000_000;
/// Messages that stay in Redis, and those of a segment: the defaults.
const HOT: u32 = 1_000;
const SEGMENT: u32 = 500;
/// Messages that are written to Redis at once.
const STEP: u32 = 500;
/// Maximum number of bytes of Redis for a message of the long conversation.
const MEMORY_TARGET: f64 = 1.0;
/// Rounds of pages, and pages of a round, each of another segment.
const PAGE_ROUNDS: u32 = 3;
const PAGES: u32 = 300;
/// Rounds of sends, seconds of each, sends per second, and messages of a conversation that move meanwhile.
const SEND_ROUNDS: u32 = 5;
const SEND_SECONDS: u32 = 1;
const PER_SECOND: u32 = 1_000;
const MOVED_MEANWHILE: u32 = 400_000;
/// Maximum latency of 99 % of the sends while messages move, relative to that while none do. Anything less is noise of
/// a shared machine.
const SEND_TARGET: f64 = 1.5;
/// How long messages may take to begin or to end to move.
const MOVED: Duration = Duration::from_secs(120);

/// Measures the rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    eprintln!("measuring the archive ...");
    let hot = HOT.to_string();
    let settings = [("DUOLOGUE_HOT_MESSAGES", hot.as_str())];
    let mut bench = Bench::start(interrupt, "everysec", workers, &settings)?;
    // A rewrite would be measured too.
    bench.redis.keep_append_only_file()?;
    moving(&mut bench, report)?;
    pages(&bench, report)?;
    sends(&mut bench, report)
}

/// A conversation of two users, whose messages move as soon as the last one is sent.
struct Conversation {
    ann: String,
    ben: String,
    messages: u32,
}

impl Conversation {
    /// Writes all messages but the last one to Redis.
    fn write(bench: &mut Bench, number: u32, messages: u32) -> Outcome<Self> {
        let (ann, ben) = (format!("ann{number}"), format!("ben{number}"));
        let mut prose = Prose::new(number.into());
        for first in (1..messages).step_by(STEP as usize) {
            bench.interrupt.check()?;
            let seqs = first..messages.min(first + STEP);
            let last = seqs.end - 1;
            let lines = seqs.map(|seq| prose.message(&ann, &ben, seq));
            let lines = lines.collect::<Outcome<Vec<_>>>()?;
            bench.redis.append(&ann, &ben, &lines, last)?;
        }
        Ok(Self { ann, ben, messages })
    }

    fn send_last(&self, bench: &Bench) -> Outcome<()> {
        send_one(&bench.service.url, &self.ann, &self.ben)
    }

    /// Waits until at most so many messages are in Redis.
    fn wait(&self, bench: &mut Bench, most: u32) -> Outcome<()> {
        let deadline = Instant::now() + MOVED;
        while self.hot(bench)? > most {
            bench.interrupt.check()?;
            if Instant::now() > deadline {
                return Err("the messages do not move".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until all have moved that are to move.
    fn wait_until_moved(&self, bench: &mut Bench) -> Outcome<()> {
        self.wait(bench, HOT + SEGMENT - 1)
    }

    /// The number of messages in Redis.
    fn hot(&self, bench: &mut Bench) -> Outcome<u32> {
        bench.redis.length(&self.ann, &self.ben)
    }

    /// The bytes of Redis for a message, wherever the message is.
    fn memory(&self, bench: &mut Bench) -> Outcome<f64> {
        let keys = format!("dm:*:me*:{},{}", self.ann, self.ben);
        Ok(bench.redis.memory_of(&keys)? / f64::from(self.messages))
    }
}

/// Measures memory, objects, and the speed and cost of moving.
fn moving(bench: &mut Bench, report: &mut Report) -> Outcome<()> {
    let long = Conversation::write(bench, 0, MESSAGES)?;
    let before = long.memory(bench)?;
    let begin = Instant::now();
    let ((), service, redis) = bench.cpu_of(|bench| {
        long.send_last(bench)?;
        long.wait_until_moved(bench)
    })?;
    let elapsed = begin.elapsed();
    let moved = f64::from(MESSAGES - long.hot(bench)?);
    let name = "(t) Redis, a message of 1,000,000, bytes";
    report.figure(name, before, 1, None);
    let target = Some(Target::AtMost(MEMORY_TARGET));
    let name = "(t) the same with an archive, bytes";
    report.figure(name, long.memory(bench)?, 2, target);
    let objects = size_of_files(&bench.dir.path().join("data/archive"))?;
    report.figure("(t) objects, a message, bytes", objects / moved, 1, None);
    let per_second = moved / elapsed.as_secs_f64();
    report.figure("(t) moving: messages per second", per_second, 0, None);
    let name = "(t) moving, a message: service CPU, us";
    report.figure(name, service / moved, 2, None);
    let name = "(t) moving, a message: Redis CPU, us";
    report.figure(name, redis / moved, 2, None);
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn size_of_files(folder: &Path) -> Outcome<f64> {
    let mut size = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() {
            size_of_files(&entry.path())?
        } else {
            entry.metadata()?.len() as f64
        };
    }
    Ok(size)
}

/// Measures pages of 50 messages in Redis, and in segments that are read for the first and for the second time.
fn pages(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut rows = ["in Redis", "in the archive", "the same again"].map(Row::new);
    for round in 0..PAGE_ROUNDS {
        let segments = round * PAGES..(round + 1) * PAGES;
        let hot = segments.clone().map(|_| String::new()).collect();
        let archived = || {
            segments
                .clone()
                .map(|segment| format!("&before={}", segment * SEGMENT + 301))
        };
        let paths: [Vec<String>; 3] = [hot, archived().collect(), archived().collect()];
        for (row, paths) in rows.iter_mut().zip(paths) {
            read_pages(&runtime, bench, &paths, row)?;
        }
    }
    let mut table = format!(
        "\n| {:<26} | {:>6} | {:>6} | {:>7} | {:>7} |\n|---|--:|--:|--:|--:|\n",
        "(t) page of 50 messages", "p50 ms", "p99 ms", "service", "Redis"
    );
    let lines = rows.iter().map(|row| {
        let [_, p50, p99] = row.speed();
        let [service, redis] = [row.service(), row.redis()].map(|cpu| text(cpu, 1));
        let name = row.name;
        format!("| {name:<26} | {p50:>6.2} | {p99:>6.2} | {service:>7} | {redis:>7} |\n")
    });
    table.extend(lines);
    report.add_table(&table);
    Ok(())
}

/// What a number of requests took, one after the other.
fn load_of(mut latencies: Vec<f64>, elapsed: Duration) -> Outcome<Load> {
    latencies.sort_by(f64::total_cmp);
    let requests = u32::try_from(latencies.len())?;
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
    Ok(Load {
        requests,
        per_second: f64::from(requests) / elapsed.as_secs_f64(),
        p50: at(50),
        p99: at(99),
    })
}

/// Reads pages one after the other.
fn read_pages(runtime: &Runtime, bench: &Bench, queries: &[String], row: &mut Row) -> Outcome<()> {
    let (load, service, redis) = bench.measure_load(|_| {
        runtime.block_on(async {
            let address = bench.service.address();
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (begin, mut latencies) = (Instant::now(), Vec::new());
            for query in queries {
                let path = format!("/conversations/ben0/ann0?peek=true&limit=50{query}");
                let requested = Instant::now();
                request_over(&mut stream, address, "GET", &path, "").await?;
                latencies.push(requested.elapsed().as_secs_f64() * 1e3);
            }
            load_of(latencies, begin.elapsed())
        })
    })?;
    row.add(&load, Some(service), Some(redis));
    Ok(())
}

/// Compares the latency of sends between other users while messages move and while none do.
fn sends(bench: &mut Bench, report: &mut Report) -> Outcome<()> {
    let requests = Requests::sends(bench.dir.path())?.paced(PER_SECOND)?;
    let mut rows = ["none", "moving"].map(Row::new);
    for round in 0..=SEND_ROUNDS {
        let conversation = Conversation::write(bench, round + 1, MOVED_MEANWHILE)?;
        let still = bench.measure(&requests, SEND_SECONDS)?;
        conversation.send_last(bench)?;
        conversation.wait(bench, MOVED_MEANWHILE - 1)?;
        let moving = bench.measure(&requests, SEND_SECONDS)?;
        if conversation.hot(bench)? < HOT + SEGMENT {
            return Err("the messages moved before the round ended".into());
        }
        conversation.wait_until_moved(bench)?;
        // The first round is a warm-up.
        for (row, (load, service, redis)) in rows.iter_mut().zip([still, moving]) {
            if round > 0 {
                row.add(&load, Some(service), Some(redis));
            }
        }
    }
    let [none, moving] = rows.map(|row| row.speed()[2]);
    report.figure("(t) 1,000 sends/s: p99, ms", none, 2, None);
    report.figure("(t) the same while messages move: p99, ms", moving, 2, None);
    let target = Some(Target::AtMost(SEND_TARGET));
    report.figure(
        "(t) p99 while messages move / else",
        moving / none,
        2,
        target,
    );
    Ok(())
}
