//! `duologue chat`: two terminals, and what happens between them.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::access::{spawn_closed_app, token, token_until};
use crate::harness::binary::Binary;
use crate::harness::redis_server::RedisServer;
use crate::harness::talker::Talker;
use crate::harness::{TestApp, spawn_app, spawn_app_on};

/// Alice and bob, each talking to the other.
fn both(address: &str) -> [Talker; 2] {
    [("alice", "bob"), ("bob", "alice")].map(|(me, peer)| Talker::start(address, me, peer))
}

/// Lines of somebody, numbered.
fn lines(who: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("{who}: no {n}")).collect()
}

#[tokio::test]
async fn two_talk_at_once_after_what_was_said_before() {
    let app = spawn_app();
    for n in 1..=30 {
        app.send("alice", "bob", &format!("no {n}")).await;
    }
    app.read("bob", "alice").await;
    let [mut alice, mut bob] = both(&app.address);
    for talker in [&mut alice, &mut bob] {
        talker.shows("alice: no 30");
        assert_eq!(talker.said(), lines("alice", 11..=30), "the latest 20");
    }
    alice.shows("✓✓ read 30");
    for n in 31..=50 {
        alice.types(&format!("no {n}"));
        bob.types(&format!("no {n}"));
    }
    for talker in [&mut alice, &mut bob] {
        talker.shows("alice: no 50");
        talker.shows("bob: no 50");
    }
    // Both show the same, in the same order, and everything once.
    assert_eq!(alice.said(), bob.said());
    for who in ["alice", "bob"] {
        let of = |line: &&&str| line.starts_with(who);
        let said: Vec<_> = alice
            .said()
            .iter()
            .filter(of)
            .skip_while(|l| !l.ends_with("31"))
            .map(|l| (*l).to_owned())
            .collect();
        assert_eq!(said, lines(who, 31..=50));
    }
    let last = app.peek("alice", "bob").await["last_seq"].as_u64().unwrap();
    assert_eq!(last, 70);
    for mut talker in [alice, bob] {
        assert!(talker.finish().success(), "{:?}", talker.shown);
    }
    assert_eq!(app.badge("alice").await, [0, 0], "what is shown is read");
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn ticks_say_how_far_the_last_line_is() {
    let app = spawn_app();
    let mut alice = Talker::start(&app.address, "alice", "bob");
    alice.types("hello?");
    alice.shows("✓ sent 1");
    app.mark_delivered("bob", "alice", 1).await;
    alice.shows("✓✓ delivered 1");
    app.read("bob", "alice").await;
    alice.shows("✓✓ read 1");
    app.edit("alice", "bob", 1, &json!({"body": "hello!"}))
        .await
        .json(200);
    alice.shows("  alice edited: hello!");
    app.delete("alice", "bob", 1).await.json(200);
    alice.shows("  alice deleted: “hello!”");
    // And when one comes back to it.
    app.send("alice", "bob", "again").await;
    app.mark_delivered("bob", "alice", 2).await;
    let mut again = Talker::start(&app.address, "alice", "bob");
    again.shows("✓✓ delivered 2");
}

/// A service at an address that stays, on data that stay.
fn serve(dir: &tempfile::TempDir, redis: &RedisServer, address: Option<&str>) -> Binary {
    let url = redis.url();
    let bind = address.map_or("127.0.0.1:0", |address| {
        address.trim_start_matches("http://")
    });
    let settings = [("DUOLOGUE_REDIS_URL", &*url), ("DUOLOGUE_BIND", bind)];
    Binary::start_with(dir.path(), &settings)
}

/// Both type, three times with an interruption while lines are under way and more are typed; what
/// both then show is whole.
fn talk_through(talkers: &mut [Talker; 2], mut interrupt: impl FnMut(usize, &mut dyn FnMut())) {
    let types = |talkers: &mut [Talker; 2], n: usize| {
        for talker in talkers {
            talker.types(&format!("no {n}"));
        }
    };
    let show = |talkers: &mut [Talker; 2], n: usize| {
        for talker in talkers {
            talker.shows(&format!("alice: no {n}"));
            talker.shows(&format!("bob: no {n}"));
        }
    };
    types(talkers, 1);
    for round in 0..3 {
        let first = 4 * round + 1;
        show(talkers, first);
        types(talkers, first + 1);
        types(talkers, first + 2);
        interrupt(round, &mut || types(talkers, first + 3));
        types(talkers, first + 4);
    }
    show(talkers, 13);
    let [alice, bob] = talkers;
    assert_eq!(alice.said(), bob.said());
    for who in ["alice", "bob"] {
        let said = alice.said().into_iter();
        let said: Vec<_> = said.filter(|line| line.starts_with(who)).collect();
        assert_eq!(said, lines(who, 1..=13));
    }
    for talker in [alice, bob] {
        assert!(talker.finish().success(), "{:?}", talker.shown);
    }
}

#[tokio::test]
async fn nothing_is_missing_and_nothing_is_there_twice_when_the_service_goes_and_comes() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), RedisServer::durable());
    let first = serve(&dir, &redis, None);
    let address = first.address.clone();
    let mut service = Some(first);
    let mut talkers = both(&address);
    talk_through(&mut talkers, |round, meanwhile| {
        let mut running = service.take().unwrap();
        if round == 1 {
            running.signal(Signal::TERM);
            running.ended(Duration::from_secs(20));
        }
        drop(running);
        meanwhile();
        service = Some(serve(&dir, &redis, Some(&address)));
    });
    for talker in &mut talkers {
        talker.shows("reconnecting…");
        talker.shows("back");
    }
}

#[tokio::test]
async fn nothing_is_missing_and_nothing_is_there_twice_when_redis_goes_and_comes() {
    let mut redis = RedisServer::durable();
    let app = spawn_app_on(&redis.url());
    talk_through(&mut both(&app.address), |_, meanwhile| {
        redis.kill();
        meanwhile();
        std::thread::sleep(Duration::from_millis(500));
        redis.restart();
    });
}

#[tokio::test]
async fn more_than_a_journal_holds_is_shown_when_one_is_back() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), RedisServer::volatile());
    let service = serve(&dir, &redis, None);
    let address = service.address.clone();
    let mut alice = Talker::start(&address, "alice", "bob");
    alice.types("no 0");
    alice.shows("alice: no 0");
    drop(service);
    alice.shows("reconnecting…");
    let elsewhere = spawn_app_on(&redis.url());
    for n in 1..=550 {
        elsewhere.send("bob", "alice", &format!("no {n}")).await;
    }
    let _service = serve(&dir, &redis, Some(&address));
    alice.shows("bob: no 550");
    assert_eq!(alice.said()[1..], lines("bob", 1..=550));
    assert!(alice.finish().success());
    assert_eq!(elsewhere.badge("alice").await, [0, 0]);
}

#[tokio::test]
async fn a_file_is_sent_and_the_end_of_it_is_the_end() {
    let app = spawn_app();
    app.send("bob", "alice", "no 0").await;
    let mut alice = Talker::start(&app.address, "alice", "bob");
    for n in 1..=100 {
        alice.types(&format!("no {n}"));
    }
    assert!(alice.finish().success(), "{:?}", alice.shown);
    assert_eq!(alice.said()[1..], lines("alice", 1..=100));
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 101);
    assert_eq!(app.badge("alice").await, [0, 0]);
}

#[tokio::test]
async fn what_is_not_taken_is_told() {
    let app = spawn_app();
    app.flag(reqwest::Method::PUT, "bob", "alice", "block")
        .await;
    let mut alice = Talker::start(&app.address, "alice", "bob");
    alice.types("hello?");
    alice.types(&"x".repeat(10_001));
    assert_eq!(alice.finish().code(), Some(1));
    alice.shows("“hello?”: the recipient does not take messages from the sender");
    alice.shows("a body has at most 10000 characters");
    alice.shows("duologue: 2 of the lines that were typed did not get through");
}

/// How a chat ends that should not begin, and that it says nothing else.
fn refusal(app: &TestApp, me: &str, token: &str) -> String {
    let mut talker = Talker::start_with(&app.address, me, "bob", &[("DUOLOGUE_TOKEN", token)]);
    assert_eq!(talker.ended().code(), Some(1), "{:?}", talker.shown);
    assert_eq!(talker.shown.len(), 1, "{:?}", talker.shown);
    talker.shown.remove(0)
}

#[tokio::test]
async fn who_may_not_talk_is_told_why_in_a_sentence() {
    let app = spawn_closed_app();
    let said = refusal(&app, "alice", "a token of mine");
    assert!(
        said.starts_with("duologue: the service answered 401: "),
        "{said}"
    );
    assert!(!said.contains("a token of mine"), "{said}");
    let said = refusal(&app, "alice", &token("mallory"));
    assert!(
        said.starts_with("duologue: the service answered 403: "),
        "{said}"
    );
    let said = refusal(&app, "bob", &token("bob"));
    assert_eq!(said, "duologue: a conversation is with somebody else");
    let mut nowhere = Talker::start("http://127.0.0.1:1", "alice", "bob");
    assert_eq!(nowhere.ended().code(), Some(1));
    nowhere.shows("Connection refused (os error 111)");
    // And who may, until the token ends; it is good for 30 seconds longer than it says.
    let short = token_until("alice", -24);
    let mut alice = Talker::start_with(&app.address, "alice", "bob", &[("DUOLOGUE_TOKEN", &short)]);
    alice.types("hello");
    alice.shows("alice: hello");
    assert_eq!(alice.ended().code(), Some(1));
    alice.shows("duologue: the token has expired; come back with a fresh one");
}
