//! `duologue chat`: two terminals that talk to each other.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::auth::secured_app::{spawn_secured_app, token, token_until};
use crate::harness::cli::chat_process::ChatProcess;
use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on};

/// Alice and bob, each chatting with the other.
fn start_both(address: &str) -> [ChatProcess; 2] {
    [("alice", "bob"), ("bob", "alice")].map(|(me, peer)| ChatProcess::start(address, me, peer))
}

/// Numbered lines of a sender.
pub fn lines(who: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("{who}: no {n}")).collect()
}

#[tokio::test]
async fn two_users_chat_after_seeing_their_history() {
    let app = spawn_app();
    for n in 1..=30 {
        app.send("alice", "bob", &format!("no {n}")).await;
    }
    app.read("bob", "alice").await;
    let [mut alice, mut bob] = start_both(&app.address);
    for chat in [&mut alice, &mut bob] {
        chat.wait_for_line("alice: no 30");
        assert_eq!(chat.messages(), lines("alice", 11..=30), "the latest 20");
    }
    alice.wait_for_line("✓✓ read 30");
    for n in 31..=50 {
        alice.type_line(&format!("no {n}"));
        bob.type_line(&format!("no {n}"));
    }
    for chat in [&mut alice, &mut bob] {
        chat.wait_for_line("alice: no 50");
        chat.wait_for_line("bob: no 50");
    }
    // Both show the same lines in the same order, each once.
    assert_eq!(alice.messages(), bob.messages());
    for who in ["alice", "bob"] {
        let of = |line: &&&str| line.starts_with(who);
        let shown: Vec<_> = alice
            .messages()
            .iter()
            .filter(of)
            .skip_while(|l| !l.ends_with("31"))
            .map(|l| (*l).to_owned())
            .collect();
        assert_eq!(shown, lines(who, 31..=50));
    }
    let last = app.peek("alice", "bob").await["last_seq"].as_u64().unwrap();
    assert_eq!(last, 70);
    for mut chat in [alice, bob] {
        assert!(chat.end_input().success(), "{:?}", chat.shown);
    }
    assert_eq!(
        app.badge("alice").await,
        [0, 0],
        "displayed messages are read"
    );
    assert_eq!(app.badge("bob").await, [0, 0]);
}

#[tokio::test]
async fn check_marks_show_how_far_the_last_message_got() {
    let app = spawn_app();
    let mut alice = ChatProcess::start(&app.address, "alice", "bob");
    alice.type_line("hello?");
    alice.wait_for_line("✓ sent 1");
    app.mark_delivered("bob", "alice", 1).await;
    alice.wait_for_line("✓✓ delivered 1");
    app.read("bob", "alice").await;
    alice.wait_for_line("✓✓ read 1");
    app.edit("alice", "bob", 1, &json!({"body": "hello!"}))
        .await
        .json(200);
    alice.wait_for_line("  alice edited: hello!");
    app.delete("alice", "bob", 1).await.json(200);
    alice.wait_for_line("  alice deleted: “hello!”");
    // A new start shows the status as well.
    app.send("alice", "bob", "again").await;
    app.mark_delivered("bob", "alice", 2).await;
    let mut again = ChatProcess::start(&app.address, "alice", "bob");
    again.wait_for_line("✓✓ delivered 2");
}

/// A service that keeps its address and data across restarts.
pub fn start_service(
    dir: &tempfile::TempDir,
    redis: &RedisServer,
    address: Option<&str>,
) -> ServiceProcess {
    let url = redis.url();
    let bind = address.map_or("127.0.0.1:0", |address| {
        address.trim_start_matches("http://")
    });
    let settings = [("DUOLOGUE_REDIS_URL", &*url), ("DUOLOGUE_BIND", bind)];
    ServiceProcess::start_with(dir.path(), &settings)
}

/// Both type with three interruptions while lines are in flight; afterwards both show every line
/// once.
pub fn chat_with_interruptions(
    chats: &mut [ChatProcess; 2],
    mut interrupt: impl FnMut(usize, &mut dyn FnMut()),
) {
    let types = |chats: &mut [ChatProcess; 2], n: usize| {
        for chat in chats {
            chat.type_line(&format!("no {n}"));
        }
    };
    let show = |chats: &mut [ChatProcess; 2], n: usize| {
        for chat in chats {
            chat.wait_for_line(&format!("alice: no {n}"));
            chat.wait_for_line(&format!("bob: no {n}"));
        }
    };
    types(chats, 1);
    for round in 0..3 {
        let first = 4 * round + 1;
        show(chats, first);
        types(chats, first + 1);
        types(chats, first + 2);
        interrupt(round, &mut || types(chats, first + 3));
        types(chats, first + 4);
    }
    show(chats, 13);
    let [alice, bob] = chats;
    assert_eq!(alice.messages(), bob.messages());
    for who in ["alice", "bob"] {
        let shown = alice.messages().into_iter();
        let shown: Vec<_> = shown.filter(|line| line.starts_with(who)).collect();
        assert_eq!(shown, lines(who, 1..=13));
    }
    for chat in [alice, bob] {
        assert!(chat.end_input().success(), "{:?}", chat.shown);
    }
}

#[tokio::test]
async fn no_message_is_lost_or_repeated_when_the_service_restarts() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), RedisServer::durable());
    let first = start_service(&dir, &redis, None);
    let address = first.address.clone();
    let mut service = Some(first);
    let mut chats = start_both(&address);
    chat_with_interruptions(&mut chats, |round, while_down| {
        let mut running = service.take().unwrap();
        if round == 1 {
            running.signal(Signal::TERM);
            running.wait_for_exit(Duration::from_secs(20));
        }
        drop(running);
        while_down();
        service = Some(start_service(&dir, &redis, Some(&address)));
    });
    for chat in &mut chats {
        chat.wait_for_line("reconnecting…");
        chat.wait_for_line("reconnected");
    }
}

#[tokio::test]
async fn no_message_is_lost_or_repeated_when_redis_restarts() {
    let mut redis = RedisServer::durable();
    let app = spawn_app_on(&redis.url());
    chat_with_interruptions(&mut start_both(&app.address), |_, while_down| {
        redis.kill();
        while_down();
        std::thread::sleep(Duration::from_millis(500));
        redis.restart();
    });
}

#[tokio::test]
async fn more_missed_messages_than_the_journal_holds_are_shown() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), RedisServer::volatile());
    let service = start_service(&dir, &redis, None);
    let address = service.address.clone();
    let mut alice = ChatProcess::start(&address, "alice", "bob");
    alice.type_line("no 0");
    alice.wait_for_line("alice: no 0");
    drop(service);
    alice.wait_for_line("reconnecting…");
    let elsewhere = spawn_app_on(&redis.url());
    for n in 1..=550 {
        elsewhere.send("bob", "alice", &format!("no {n}")).await;
    }
    let _service = start_service(&dir, &redis, Some(&address));
    alice.wait_for_line("bob: no 550");
    assert_eq!(alice.messages()[1..], lines("bob", 1..=550));
    assert!(alice.end_input().success());
    assert_eq!(elsewhere.badge("alice").await, [0, 0]);
}

#[tokio::test]
async fn a_piped_file_is_sent_and_its_end_exits() {
    let app = spawn_app();
    app.send("bob", "alice", "no 0").await;
    let mut alice = ChatProcess::start(&app.address, "alice", "bob");
    for n in 1..=100 {
        alice.type_line(&format!("no {n}"));
    }
    assert!(alice.end_input().success(), "{:?}", alice.shown);
    assert_eq!(alice.messages()[1..], lines("alice", 1..=100));
    assert_eq!(app.peek("alice", "bob").await["last_seq"], 101);
    assert_eq!(app.badge("alice").await, [0, 0]);
}

#[tokio::test]
async fn refused_messages_are_reported() {
    let app = spawn_app();
    app.flag(reqwest::Method::PUT, "bob", "alice", "block")
        .await;
    let mut alice = ChatProcess::start(&app.address, "alice", "bob");
    alice.type_line("hello?");
    alice.type_line(&"x".repeat(10_001));
    assert_eq!(alice.end_input().code(), Some(1));
    alice.wait_for_line("“hello?”: The recipient has blocked the sender.");
    alice.wait_for_line("must have at most 10000 characters");
    alice.wait_for_line("duologue: messages not sent: 2");
}

/// The only line of output of a chat that must fail.
fn failure_output(app: &TestApp, me: &str, token: &str) -> String {
    let mut chat = ChatProcess::start_with(&app.address, me, "bob", &[("DUOLOGUE_TOKEN", token)]);
    assert_eq!(chat.wait_for_exit().code(), Some(1), "{:?}", chat.shown);
    assert_eq!(chat.shown.len(), 1, "{:?}", chat.shown);
    chat.shown.remove(0)
}

#[tokio::test]
async fn a_user_without_permission_sees_the_reason() {
    let app = spawn_secured_app();
    let shown = failure_output(&app, "alice", "a token of mine");
    assert!(
        shown.starts_with("duologue: the service answered 401: "),
        "{shown}"
    );
    assert!(!shown.contains("a token of mine"), "{shown}");
    let shown = failure_output(&app, "alice", &token("mallory"));
    assert!(
        shown.starts_with("duologue: the service answered 403: "),
        "{shown}"
    );
    let shown = failure_output(&app, "bob", &token("bob"));
    assert_eq!(shown, "duologue: --as and --with must be different users");
    let mut unreachable = ChatProcess::start("http://127.0.0.1:1", "alice", "bob");
    assert_eq!(unreachable.wait_for_exit().code(), Some(1));
    unreachable.wait_for_line("Connection refused (os error 111)");
    // A valid token works until it expires; the leeway is 30 seconds.
    let short = token_until("alice", -24);
    let mut alice =
        ChatProcess::start_with(&app.address, "alice", "bob", &[("DUOLOGUE_TOKEN", &short)]);
    alice.type_line("hello");
    alice.wait_for_line("alice: hello");
    assert_eq!(alice.wait_for_exit().code(), Some(1));
    alice.wait_for_line("duologue: the token has expired; start again with a new one");
}
