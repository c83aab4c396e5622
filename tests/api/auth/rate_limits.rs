//! Rate limits: enforced per caller across processes, and reported in accurate headers.

use std::time::{Duration, Instant};

use redis::cmd;
use serde_json::{Value, json};

use crate::harness::auth::secured_app::{
    ROTATED_OUT, SECRET, SERVICE_KEY, spawn_secured_app_with, token,
};
use crate::harness::http::response::ApiResponse;
use crate::harness::store::outbox::is_in_two_steps;
use crate::harness::store::redis_server::{RedisServer, set_full};
use crate::harness::{TestApp, spawn_app_with};

pub const READ: &str = "/conversations/alice/bob?peek=true";

fn message() -> Value {
    json!({"from": "alice", "to": "bob", "body": "hi"})
}

async fn send(app: &TestApp, credential: &str) -> ApiResponse {
    app.post_as(credential, &message()).await
}

/// The numbers in a header of the form `"name";a=1;b=2`.
fn numbers(header: &str, name: &str, letters: [&str; 2]) -> [u64; 2] {
    let rest = header.strip_prefix(&format!("\"{name}\";")).unwrap();
    let (one, other) = rest.split_once(';').unwrap();
    let number = |text: &str, letter: &str| {
        let digits = text.strip_prefix(&format!("{letter}=")).unwrap();
        digits.parse().unwrap()
    };
    [number(one, letters[0]), number(other, letters[1])]
}

#[tokio::test]
async fn requests_beyond_the_burst_get_429_with_retry_after() {
    let app = spawn_secured_app_with(&["--send-rate", "1:3"]);
    let alice = token("alice");
    for left in [2, 1, 0] {
        let answer = send(&app, &alice).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), "\"send\";q=3;w=3");
        let [remaining, _] = numbers(answer.header("ratelimit"), "send", ["r", "t"]);
        assert_eq!(remaining, left);
    }
    let before = app.settled_contents().await;
    let refused = send(&app, &alice).await;
    refused.problem(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit"), "\"send\";r=0;t=1");
    assert_eq!(refused.header("ratelimit-policy"), "\"send\";q=3;w=3");
    assert_eq!(app.contents(), before, "a refusal changes nothing");
}

#[tokio::test]
async fn retry_after_is_neither_too_short_nor_too_long() {
    let app = spawn_secured_app_with(&["--send-rate", "1:1"]);
    let alice = token("alice");
    let begun = Instant::now();
    assert_eq!(send(&app, &alice).await.status, 201);
    let refused = send(&app, &alice).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    let told = Instant::now();
    tokio::time::sleep_until((begun + Duration::from_millis(500)).into()).await;
    let early = send(&app, &alice).await.status;
    // On a stalling machine half a second can become a whole one.
    assert!(early == 429 || begun.elapsed() > Duration::from_millis(950));
    tokio::time::sleep_until((told + Duration::from_secs(wait)).into()).await;
    assert_eq!(send(&app, &alice).await.status, 201);
}

#[tokio::test]
async fn users_keys_and_kinds_of_request_have_separate_limits() {
    let keys = format!("{SERVICE_KEY},{ROTATED_OUT}");
    let app = spawn_app_with(&[
        "--jwt-secret",
        SECRET,
        "--service-keys",
        &keys,
        "--send-rate",
        "1:1",
        "--key-rate",
        "1:1",
        "--request-rate",
        "1:1",
    ]);
    // Each caller has its own limit.
    let bob = json!({"to": "alice", "body": "hi"});
    for (who, to_send) in [
        (token("alice"), message()),
        (token("bob"), bob),
        (SERVICE_KEY.to_owned(), message()),
        (ROTATED_OUT.to_owned(), message()),
    ] {
        assert_eq!(app.post_as(&who, &to_send).await.status, 201, "{who}");
    }
    for who in [&token("alice"), SERVICE_KEY, ROTATED_OUT] {
        let read = app.get_as(who, READ).await;
        assert_eq!(read.status, 200, "{who}");
        assert_eq!(read.header("ratelimit-policy"), "\"request\";q=1;w=1");
    }
}

#[tokio::test]
async fn a_key_sends_without_limit_or_by_a_limit_of_its_own() {
    let app = spawn_secured_app_with(&["--send-rate", "1:1"]);
    for _ in 0..5 {
        let sent = send(&app, SERVICE_KEY).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        assert_eq!(sent.header("ratelimit-policy"), "");
    }
    let app = spawn_secured_app_with(&["--send-rate", "1:1", "--key-rate", "1:3"]);
    for left in [2, 1, 0] {
        let sent = send(&app, SERVICE_KEY).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        assert_eq!(sent.header("ratelimit-policy"), "\"send\";q=3;w=3");
        let [remaining, _] = numbers(sent.header("ratelimit"), "send", ["r", "t"]);
        assert_eq!(remaining, left);
    }
    send(&app, SERVICE_KEY).await.problem(429, "RATE_LIMITED");
    assert_eq!(
        send(&app, &token("alice")).await.status,
        201,
        "users have their own limit"
    );
    send(&app, &token("alice"))
        .await
        .problem(429, "RATE_LIMITED");
}

#[tokio::test]
async fn a_key_reads_without_limit_or_by_a_limit_of_its_own() {
    let requests = ["/unread?users=alice", "/presence?users=alice", READ];
    let app = spawn_secured_app_with(&["--request-rate", "1:1"]);
    for path in requests {
        let read = app.get_as(SERVICE_KEY, path).await;
        assert_eq!(read.status, 200, "{read:?}");
        assert_eq!(read.header("ratelimit-policy"), "", "{path}");
    }
    let app = spawn_secured_app_with(&["--request-rate", "0", "--key-rate", "1:3"]);
    for path in requests {
        let read = app.get_as(SERVICE_KEY, path).await;
        assert_eq!(read.status, 200, "{read:?}");
        let policy = read.header("ratelimit-policy");
        assert_eq!(policy, "\"request\";q=3;w=3", "{path}");
    }
    let refused = app.get_as(SERVICE_KEY, READ).await;
    refused.problem(429, "RATE_LIMITED");
    assert_eq!(send(&app, SERVICE_KEY).await.status, 201, "messages apart");
    for _ in 0..5 {
        let read = app.get_as(&token("alice"), READ).await;
        assert_eq!(read.status, 200, "users apart");
    }
}

#[tokio::test]
async fn zero_disables_a_limit_and_an_open_service_has_none() {
    let off = spawn_secured_app_with(&["--send-rate", "0", "--request-rate", "0"]);
    let open = spawn_app_with(&["--send-rate", "1:1", "--request-rate", "1:1"]);
    for _ in 0..5 {
        for answer in [
            send(&off, SERVICE_KEY).await,
            off.get_as(SERVICE_KEY, READ).await,
            open.post(&message()).await,
            open.get(READ).await,
        ] {
            assert!(answer.status < 300, "{answer:?}");
            for header in ["ratelimit", "ratelimit-policy", "retry-after"] {
                assert_eq!(answer.header(header), "", "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_limit_holds_across_services() {
    let redis = RedisServer::volatile();
    let settings = ["--redis-url", &redis.url(), "--send-rate", "1:10"];
    let [one, other] = [0, 1].map(|_| spawn_secured_app_with(&settings));
    let (begun, mut accepted) = (Instant::now(), 0);
    for _ in 0..10 {
        for app in [&one, &other] {
            accepted += u64::from(send(app, &token("alice")).await.status == 201);
        }
    }
    let refilled = begun.elapsed().as_secs() + 1;
    assert!((10..=10 + refilled).contains(&accepted), "{accepted}");
}

#[tokio::test]
async fn rate_limiting_adds_no_round_trip_to_redis() {
    if is_in_two_steps() {
        // The bucket is on another node.
        return;
    }
    let app = spawn_secured_app_with(&["--key-rate", "20:60"]);
    let calls = || {
        let mut info = cmd("INFO");
        let info: String = info.arg("commandstats").query(&mut app.redis()).unwrap();
        let count = |command: &str| {
            let line = info.lines().find(|l| l.starts_with(command));
            let rest = line.and_then(|l| l.split("calls=").nth(1));
            rest.map_or(0, |r| r.split(',').next().unwrap().parse::<u64>().unwrap())
        };
        let texts = count("cmdstat_evalsha:") + count("cmdstat_eval:");
        (count("cmdstat_fcall:"), texts)
    };
    // Background workers run scripts too, which must not be counted.
    let searches = async || {
        let metrics = app.get_as(SERVICE_KEY, "/metrics").await.text;
        let count = |script: &str| {
            let name = format!("duologue_script_duration_seconds_count{{script=\"{script}\"}} ");
            let count = metrics.split(&name).nth(1).unwrap_or("0");
            count.lines().next().unwrap().parse::<u64>().unwrap()
        };
        let workers = [
            "find_expired_presences",
            "claim_due",
            "count_long_conversations",
        ];
        workers.iter().map(|script| count(script)).sum::<u64>()
    };
    let counted = async || loop {
        let (before, calls, after) = (searches().await, calls(), searches().await);
        if before == after {
            return (calls.0 - before, calls.1);
        }
    };
    // Redis counts a search before its reply is measured, so only a count that stays is one.
    let calls = async || loop {
        let first = counted().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if counted().await == first {
            return first;
        }
    };
    // Even the first call of each script needs no `EVAL`: functions are loaded at startup.
    let before = calls().await;
    for _ in 0..3 {
        assert_eq!(send(&app, SERVICE_KEY).await.status, 201);
        assert_eq!(app.get_as(SERVICE_KEY, READ).await.status, 200);
    }
    assert_eq!(calls().await, (before.0 + 6, before.1));
}

#[tokio::test]
async fn a_full_redis_still_serves_and_rate_limits_readers() {
    let app = spawn_secured_app_with(&["--request-rate", "1:2"]);
    assert_eq!(send(&app, SERVICE_KEY).await.status, 201);
    set_full(&mut app.redis(), true);
    send(&app, SERVICE_KEY).await.problem(507, "STORAGE_FULL");
    let bob = token("bob");
    let read = app.get_as(&bob, "/conversations/bob/alice").await;
    assert_eq!(read.json(200)["unread_count"], 1);
    assert!(read.header("ratelimit").starts_with("\"request\";r=1;"));
    let again = app.get_as(&bob, "/conversations/bob/alice").await;
    assert_eq!(again.json(200)["unread_count"], 0);
    let third = app.get_as(&bob, "/conversations/bob/alice").await;
    third.problem(429, "RATE_LIMITED");
}
