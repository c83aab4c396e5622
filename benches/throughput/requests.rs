//! The rows of requests over HTTP.

use std::time::Duration;

use duologue::auth::{Rules, Secret, TokenRequest};

use crate::bench::Bench;
use crate::load::{CONNECTIONS, Load, bare_script};
use crate::messages::IN_FLIGHT;
use crate::process::{Server, cpu};
use crate::report::Row;
use crate::store::Redis;
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// Rounds of each row. Odd, so that one of them is the median.
pub const ROUNDS: usize = 3;
/// Seconds of a round.
pub const SECONDS: u32 = 1;
/// Seconds of warming up before the first round.
const WARM_UP: u32 = 1;
/// Messages of the conversation whose pages are read.
const PAGED: u32 = 100_000;
/// Rounds of that, of which the minimum counts.
const QUIET_ROUNDS: usize = 5;
/// The secret of the tokens.
pub const SECRET: (&str, &str) = (
    "DUOLOGUE_JWT_SECRET",
    "a secret of the benchmark, 32 bytes and more",
);
/// The default rate, with a bucket that never empties.
pub const LIMITED: (&str, &str) = ("DUOLOGUE_SEND_RATE", "20:1000000");

/// Measures the lower bounds, a send and a page of history with one durability.
pub fn lower_bounds(mut bench: Bench<'_>, seconds: u32) -> Outcome<[Row; 5]> {
    let dir = bench.dir.path();
    bench.redis.keep_append_only_file()?;
    bench.redis.fill("ann", "ben", PAGED)?;
    let sends = Requests::sends(dir)?;
    let page = Requests::reads(dir, "page.lua", "/conversations/ben/ann?limit=50")?;
    let baseline = Server::baseline(None)?;
    let ping = Server::baseline(Some(&bench.redis.socket))?;
    let mut rows = [
        Row::new("(a) actix parses and returns JSON"),
        Row::new("(p) the same after a Redis PING"),
        Row::new("(b) bare script, redis-benchmark"),
        Row::new("(c) POST /messages"),
        Row::new("(d) GET a page of 50 of 100,000"),
    ];
    sends.run(&baseline.url, WARM_UP, CONNECTIONS)?;
    sends.run(&ping.url, WARM_UP, CONNECTIONS)?;
    bench.measure(&sends, WARM_UP)?;
    bench.measure(&page, WARM_UP)?;
    let per_second = bare_script(&mut bench.redis, 50_000)?.per_second;
    for _ in 0..ROUNDS {
        bench.interrupt.check()?;
        for (row, server) in [(0, &baseline), (1, &ping)] {
            let before = server.cpu()?;
            let load = sends.run(&server.url, seconds, CONNECTIONS)?;
            rows[row].add(&load, Some(server.cpu()? - before), None);
        }
        let (load, redis) = measure_bare_script(&mut bench.redis, per_second * f64::from(seconds))?;
        rows[2].add(&load, None, Some(redis));
        for (row, requests) in [(3, &sends), (4, &page)] {
            let (load, service, redis) = bench.measure(requests, seconds)?;
            rows[row].add(&load, Some(service), Some(redis));
        }
    }
    Ok(rows)
}

/// A round of the bare script, with the CPU of Redis in microseconds. `redis-benchmark` takes a
/// number of calls and not a duration; the number is bounded by the memory it may use.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn measure_bare_script(redis: &mut Redis, calls: f64) -> Outcome<(Load, f64)> {
    let calls = calls.clamp(50_000.0, 300_000.0) as u32;
    // `bare_script` flushes too, but that must not be measured.
    redis.flush_bare()?;
    let before = cpu(redis.pid)?;
    let load = bare_script(redis, calls)?;
    Ok((load, cpu(redis.pid)? - before))
}

/// Measures the time that Redis takes for the bare script and for a send, with one pair and with
/// many, and the bytes that a send of one pair appends to the append-only file. Redis measures
/// elapsed time, which includes interruptions.
pub fn redis_times(mut bench: Bench<'_>) -> Outcome<([f64; 3], f64)> {
    let one = Requests::sends_between(bench.dir.path(), "ann", "ben")?;
    let many = Requests::sends(bench.dir.path())?;
    bench.redis.keep_append_only_file()?;
    bench.measure(&many, WARM_UP)?;
    let mut minimum = [f64::INFINITY; 3];
    let (mut bytes, mut sends) = (0.0, 0.0);
    for _ in 0..QUIET_ROUNDS {
        bench.interrupt.check()?;
        let mut calls = vec![bench.redis.script_calls()?];
        bare_script(&mut bench.redis, 20_000)?;
        calls.push(bench.redis.script_calls()?);
        let before = bench.redis.append_only_bytes()?;
        one.run(&bench.service.url, 1, IN_FLIGHT)?;
        calls.push(bench.redis.script_calls()?);
        bytes += bench.redis.append_only_bytes()? - before;
        sends += calls[2].0 - calls[1].0;
        many.run(&bench.service.url, 1, IN_FLIGHT)?;
        calls.push(bench.redis.script_calls()?);
        for (minimum, calls) in minimum.iter_mut().zip(calls.windows(2)) {
            *minimum = minimum.min((calls[1].1 - calls[0].1) / (calls[1].0 - calls[0].0));
        }
    }
    Ok((minimum, bytes / sends))
}

/// Measures the same sends to a service without authentication, to one that verifies tokens, and to
/// one that also charges each send, at the default rate, from a bucket that never empties.
pub fn tokens_and_limits(interrupt: &Interrupt, workers: usize) -> Outcome<[Row; 3]> {
    const UNLIMITED: (&str, &str) = ("DUOLOGUE_SEND_RATE", "0");
    let start = |settings| Bench::start(interrupt, "everysec", workers, settings);
    let (open, tokens, limits) = (
        start(&[])?,
        start(&[SECRET, UNLIMITED])?,
        start(&[SECRET, LIMITED])?,
    );
    let (dir, minted) = (open.dir.path(), mint_tokens()?);
    let unsigned = Requests::sends_with(dir, "unsigned.lua", &[])?;
    let signed = Requests::sends_with(dir, "signed.lua", &minted)?;
    let plan = [(&open, &unsigned), (&tokens, &signed), (&limits, &signed)];
    let mut rows = [
        Row::new("send, open"),
        Row::new("(e) send with a token (HS256)"),
        Row::new("(f) the same, rate limited"),
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

/// A token with the [`SECRET`] for each of [`Requests::senders`].
pub fn mint_tokens() -> Outcome<Vec<String>> {
    let (secret, rules) = (SECRET.1.parse::<Secret>()?, Rules::default());
    Requests::senders()
        .map(|sender| {
            let request = TokenRequest {
                sub: sender.try_into()?,
                ttl: Duration::from_secs(3600),
            };
            Ok(request.mint(&secret, &rules)?)
        })
        .collect()
}
