//! Limits of answers and scripts with the worst data that users can create: no answer exceeds 1 MiB, and no
//! script occupies Redis for more than 5 ms on a machine on which the bare send script takes 3 us.
//! `make bench` prints the table of the measurements.

use redis::{ConnectionLike, cmd};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::resume::place;
use crate::harness::store::lua::{draft, fill_with};
use crate::harness::{TestApp, spawn_app};

/// Maximum number of bytes in an answer.
const ANSWER: usize = 1024 * 1024;
/// Maximum duration of a script in microseconds, if the bare script takes `BARE_US`. Slower machines get
/// proportionally more.
const SCRIPT_US: f64 = 5_000.0;
const BARE_US: f64 = 3.0;
/// How much longer a script takes on a machine that runs other tests: the clock of Redis counts interruptions.
const BUSY: f64 = 3.0;
/// The largest text that a message can have.
const LARGE: usize = 60_000;
/// Number of equal conversations, so that requests that change one can be repeated.
const ALIKE: usize = 3;

/// Sends messages with one text through the script.
fn fill(redis: &mut impl ConnectionLike, from: &str, to: &str, bytes: usize, count: usize) {
    // A text has at most 10,000 characters. Control characters are the largest: six bytes in JSON.
    let json = draft(from, to, &"\\u0001".repeat(bytes.div_ceil(6)));
    fill_with(redis, [from, to], &json, count, 50);
}

/// The longest call of a script since the last reset, in microseconds.
fn slowest_script(redis: &mut impl ConnectionLike) -> f64 {
    let entries: Vec<(u64, u64, u64, Vec<String>, String, String)> =
        cmd("SLOWLOG").arg("GET").arg(-1).query(redis).unwrap();
    let scripts = entries
        .iter()
        .filter(|entry| ["EVAL", "FCALL"].contains(&entry.3[0].as_str()));
    #[allow(clippy::cast_precision_loss)]
    let durations = scripts.map(|entry| entry.2 as f64);
    durations.reduce(f64::max).expect("a script ran")
}

/// Starts to measure the duration of every script.
fn watch(redis: &mut impl ConnectionLike) {
    for (setting, value) in [("slowlog-log-slower-than", "0"), ("slowlog-max-len", "500")] {
        cmd("CONFIG")
            .arg("SET")
            .arg(setting)
            .arg(value)
            .exec(redis)
            .unwrap();
    }
    cmd("SLOWLOG").arg("RESET").exec(redis).unwrap();
}

/// Duration of the bare send script in microseconds: the minimum of several runs.
fn bare_script(redis: &mut impl ConnectionLike) -> f64 {
    let script =
        "redis.call('LPUSH', KEYS[1], ARGV[1]) return redis.call('HINCRBY', KEYS[2], 'b', 1)";
    let mut fastest = f64::MAX;
    for _ in 0..200 {
        watch(redis);
        let mut eval = cmd("EVAL");
        eval.arg(script)
            .arg(2)
            .arg("bare")
            .arg("counts")
            .arg("x".repeat(250));
        eval.exec(redis).unwrap();
        fastest = fastest.min(slowest_script(redis));
    }
    fastest
}

/// Number of bytes in the answer to a request and duration of its slowest script in microseconds: the minimum
/// of three runs, because the machine does other work too. In each run `{n}` in the path is another of the
/// equal conversations.
async fn cost(app: &TestApp, method: &Method, path: &str, body: Option<&Value>) -> (usize, f64) {
    let mut redis = app.redis();
    let (mut bytes, mut fastest) = (0, f64::MAX);
    for n in 0..ALIKE {
        let path = &path.replace("{n}", &n.to_string());
        watch(&mut redis);
        let answer = match body {
            Some(body) => app.ask(method.clone(), path, body).await,
            None => app.request(method.clone(), path).await,
        };
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
        bytes = bytes.max(answer.text.len());
        fastest = fastest.min(slowest_script(&mut redis));
    }
    (bytes, fastest)
}

#[tokio::test]
async fn every_operation_is_bounded_with_the_worst_data() {
    let app = spawn_app();
    if app.redis_url.starts_with("redis+cluster") {
        // The durations are those of one Redis that does all the work.
        return;
    }
    let mut redis = app.redis();
    let begin = place(&app, "bob").await;
    // Conversations with the largest messages, one in which bob wrote thousands, and a large inbox.
    for n in 0..ALIKE {
        fill(&mut redis, &format!("alice-{n}"), "bob", LARGE, 400);
        fill(&mut redis, &format!("dave-{n}"), "bob", 100, 12_000);
    }
    fill(&mut redis, "carol", "bob", 100, 50);
    fill(&mut redis, "bob", "carol", 100, 6_000);
    for peer in 0..3_000 {
        fill(&mut redis, &format!("peer-{peer}"), "bob", 10, 1);
    }
    for peer in 0..100 {
        fill(&mut redis, &format!("large-{peer}"), "bob", LARGE, 1);
    }
    let journal = place(&app, "bob").await;
    fill(&mut redis, "alice-0", "bob", LARGE, 200);
    let allowed = BUSY * SCRIPT_US * (bare_script(&mut redis) / BARE_US).max(1.0);
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let put = |path: &str, body: Value| (Method::PUT, path.to_owned(), Some(body));
    let post = |path: &str, body: Value| (Method::POST, path.to_owned(), Some(body));
    let (large, long) = (
        "/conversations/bob/alice-{n}",
        "/conversations/bob/dave-{n}",
    );
    let calls = [
        get(&format!("{large}?peek=true&limit=200&unread_limit=500")),
        get(&format!("{large}?before=300&limit=200&unread_limit=500")),
        get(&format!("{large}?after=1&limit=200&unread_limit=500")),
        get(&format!("{large}?around=200&limit=200&unread_limit=500")),
        get(&format!(
            "{large}?around_time=2026-01-31T12:00:00Z&limit=200"
        )),
        get("/conversations/bob/carol?peek=true&unread_limit=500"),
        get(&format!("{long}?peek=true&limit=200&unread_limit=500")),
        get(large),
        post(&format!("{large}/unread"), json!({"seq": 1})),
        post(&format!("{large}/unread"), json!({"seq": 390})),
        put(&format!("{large}/read"), json!({"seq": 200})),
        put(&format!("{large}/read"), json!({"seq": 390})),
        post(&format!("{long}/unread"), json!({"seq": 1})),
        put(&format!("{long}/read"), json!({"seq": 6_000})),
        put(&format!("{long}/read"), json!({"seq": 11_500})),
        get("/conversations/bob?limit=100"),
        get("/conversations/bob?limit=100&unread_only=true"),
        get("/conversations/bob?limit=100&archived=true"),
        get("/users/bob/unread"),
        get("/users/bob/blocks"),
        get(&format!("{large}/messages/1")),
        get(&format!("/events?user=bob&after={begin}&limit=200")),
        get(&format!("/events?user=bob&after={begin}&limit=1")),
        get(&format!("/events?user=bob&after={journal}&limit=200")),
        (
            Method::DELETE,
            "/conversations/alice-{n}/bob/messages/300".to_owned(),
            None,
        ),
        (Method::PUT, format!("{large}/mute"), None),
        (Method::DELETE, large.to_owned(), None),
    ];
    println!("| request, with the worst data | answer, bytes | longest script, us |");
    println!("|---|--:|--:|");
    let mut missed = Vec::new();
    for (method, path, body) in calls {
        let (bytes, us) = cost(&app, &method, &path, body.as_ref()).await;
        let body = body.map(|body| format!(" {body}")).unwrap_or_default();
        let line = format!("| {method} {path}{body} | {bytes} | {us} |");
        println!("{line}");
        if bytes > ANSWER || us > allowed {
            missed.push(line);
        }
    }
    assert!(
        missed.is_empty(),
        "allowed: {ANSWER} bytes, {allowed} us: {missed:#?}"
    );
}

#[tokio::test]
async fn pages_of_large_messages_lead_to_all_of_them() {
    let app = spawn_app();
    fill(&mut app.redis(), "alice", "bob", LARGE, 50);
    let path = "/conversations/bob/alice?peek=true&limit=50";
    let first = app.get(path).await.json(200);
    let begin = first["history"].as_array().unwrap().len();
    assert!((2..50).contains(&begin), "{begin}");
    assert_eq!(first["unread_count"], 50);
    for (start, cursor, query) in [(51, "next_before", "before"), (0, "next_after", "after")] {
        let (mut at, mut seen) = (start, Vec::new());
        loop {
            let page = app
                .page("bob", "alice", &format!("{query}={at}&limit=50"))
                .await;
            let messages = page["history"].as_array().unwrap().iter();
            seen.extend(messages.map(|message| message["seq"].as_u64().unwrap()));
            match page[cursor].as_u64() {
                Some(next) => at = next,
                None => break,
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=50).collect::<Vec<_>>(), "{query}");
    }
    let around = app.page("bob", "alice", "around=25&limit=50").await;
    let seqs = crate::harness::seqs(&around["history"]);
    assert!(seqs.contains(&25) && seqs.is_sorted_by(|one, other| one == &(other + 1)));
}

#[tokio::test]
async fn a_mark_far_ahead_is_made_in_several_calls() {
    let app = spawn_app();
    fill(&mut app.redis(), "alice", "bob", 100, 10_000);
    let (target, mut calls) = (5_000, 0);
    loop {
        let state = app.mark_read("bob", "alice", target).await;
        let read = state["read_seq"].as_u64().unwrap();
        assert_eq!(state["unread_count"], 10_000 - read);
        assert_eq!(app.badge("bob").await, [10_000 - read, 1]);
        calls += 1;
        if read == target {
            break;
        }
    }
    assert_eq!(calls, 2);
}

#[tokio::test]
async fn an_inbox_of_large_messages_is_listed_completely() {
    let app = spawn_app();
    for peer in 0..30 {
        fill(&mut app.redis(), &format!("peer-{peer}"), "bob", LARGE, 1);
    }
    let (mut peers, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = app.inbox("bob", &format!("limit=30{cursor}")).await;
        let rows = page["conversations"].as_array().unwrap().iter();
        peers.extend(rows.map(|row| row["peer"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..30).rev().map(|peer| format!("peer-{peer}")).collect();
    assert_eq!(peers, expected);
    assert!(pages > 3, "{pages}");
}
