//! What an operation may cost Redis: calls within its scripts, and instructions.
//!
//! An operation that exceeds its budget got dearer. If there is a reason, the budget follows, and the commit says why.
//! One that stays below it by more than the tolerance got cheaper, and the budget follows too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duologue::metrics::Metrics;
use duologue::model::{
    InboxQuery, MessageInput, PageQuery, PendingMessage, Retention, RoomName, UserId,
};
use duologue::store::{ConversationRequest, Keys, RoomRequest, Store};
use redis::{Connection, cmd};
use serde_json::json;

use crate::harness::eventually;
use crate::harness::store::callgrind::CountedRedis;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::store::rooms::create_room;

/// An operation on data that [`prepare`] makes.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Send,
    SendToListeners,
    SendToRoom,
    ReadPage,
    ListInbox,
    CountUnread,
    SendWithSubscription,
}

use Operation::{
    CountUnread, ListInbox, ReadPage, Send, SendToListeners, SendToRoom, SendWithSubscription,
};

/// For each operation, in this order, the calls of commands within its scripts, and the instructions of Redis relative
/// to those of the bare script, which differ less between builds of Redis than the instructions themselves.
const BUDGETS: [(Operation, u64, f64); 7] = [
    (Send, 9, 5.82),
    (SendToListeners, 15, 7.54),
    (SendToRoom, 10, 5.60),
    (ReadPage, 5, 13.55),
    (ListInbox, 23, 24.4),
    (CountUnread, 1, 0.98),
    (SendWithSubscription, 11, 6.05),
];
/// By how much instructions may differ from the budget. Two runs of one build differ by up to 2 %, since Redis also does
/// what is due by time.
const TOLERANCE: f64 = 0.05;
/// How long Redis may take to load the functions.
const READY: Duration = Duration::from_secs(60);
/// Times that an operation runs before it is measured, and then.
const WARM_UP: u32 = 100;
const MEASURED: u32 = 400;

/// The bare script: appends a message and counts it.
const BARE: &str = "#!lua name=bare
redis.register_function('bare', function(KEYS, ARGV)
  redis.call('LPUSH', KEYS[1], ARGV[2])
  return redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
end)";

fn open_store(redis: &RedisServer) -> Store {
    let metrics = Arc::new(Metrics::new());
    Store::new(&redis.url(), None, Retention::default(), metrics).unwrap()
}

fn id(user: &str) -> UserId {
    UserId::try_from(user.to_owned()).unwrap()
}

fn message(from: &str, to: &str) -> PendingMessage {
    let input = json!({"to": to, "body": "x".repeat(100)});
    let input: MessageInput = serde_json::from_value(input).unwrap();
    PendingMessage::new(id(from), input).unwrap()
}

async fn send(store: &Store, from: &str, to: &str) {
    let (user, peer) = (&id(from), &id(to));
    let request = ConversationRequest {
        user,
        peer,
        charge: None,
    };
    let message = message(from, to);
    let sent = store.send_message(&message, None, request);
    sent.await.unwrap();
}

async fn send_to_room(store: &Store) {
    let room = &RoomName::of_id("general").unwrap();
    let (message, user) = (message("alice", room.as_str()), &id("alice"));
    let request = RoomRequest {
        user,
        room,
        charge: None,
    };
    let sent = store.send_room_message(&message, None, request);
    sent.await.unwrap();
}

async fn read_page(store: &Store, user: &str, peer: &str) {
    let (user, peer) = (&id(user), &id(peer));
    let request = ConversationRequest {
        user,
        peer,
        charge: None,
    };
    let query = PageQuery::default();
    let page = store.read_conversation(request, &query);
    page.await.unwrap();
}

/// Alice and bob have a conversation of two pages, which both have read. Alice is a member of a room. Carol and dave
/// listen. Gina has twenty conversations.
async fn prepare(store: &Store, redis: &mut Connection) {
    // Under callgrind, loading the functions may take longer than the store waits.
    let user = id("alice");
    let answers = async || store.count_unread(&user, None).await.is_ok();
    eventually("the store answers", READY, answers).await;
    for _ in 0..WARM_UP {
        send(store, "alice", "bob").await;
    }
    read_page(store, "bob", "alice").await;
    create_room(redis, "general", &["alice"]);
    for user in ["carol", "dave"] {
        store.open_stream(&id(user), None).await.unwrap();
    }
    for n in 0..20 {
        send(store, &format!("peer-{n}"), "gina").await;
    }
}

/// Subscribes to what happens between erin and frank.
fn subscribe(redis: &mut Connection) {
    let keys = Keys::new();
    let mut register = cmd("HSET");
    register.arg(keys.subscriptions()).arg("reader");
    register.arg("1|1|open|{}").exec(redis).unwrap();
    let mut open = cmd("XGROUP");
    open.arg("CREATE").arg(keys.feed("erin,frank"));
    open.arg("reader").arg("$").arg("MKSTREAM");
    open.exec(redis).unwrap();
}

/// Runs an operation several times. The first is dearer than the others: it makes a row, or finds a lease that is free.
async fn warm_up(store: &Store, redis: &mut Connection, operation: Operation) {
    if matches!(operation, SendWithSubscription) {
        subscribe(redis);
    }
    for _ in 0..WARM_UP {
        run(store, operation).await;
    }
}

async fn run(store: &Store, operation: Operation) {
    match operation {
        Send => send(store, "alice", "bob").await,
        SendToListeners => send(store, "carol", "dave").await,
        SendWithSubscription => send(store, "erin", "frank").await,
        SendToRoom => send_to_room(store).await,
        ReadPage => read_page(store, "alice", "bob").await,
        ListInbox => {
            let (user, query) = (id("gina"), InboxQuery::default());
            let inbox = store.list_conversations(&user, &query, None);
            inbox.await.unwrap();
        }
        CountUnread => {
            store.count_unread(&id("gina"), None).await.unwrap();
        }
    }
}

/// The calls of each command so far, except of those that run scripts or only ask for figures.
fn calls(redis: &mut Connection) -> BTreeMap<String, u64> {
    let stats: redis::InfoDict = cmd("INFO").arg("commandstats").query(redis).unwrap();
    let calls = stats.iter().filter_map(|(name, figures)| {
        let name = name.strip_prefix("cmdstat_")?.to_owned();
        let figures: String = redis::from_redis_value(figures.clone()).ok()?;
        let calls = figures.strip_prefix("calls=")?.split(',').next()?;
        Some((name, calls.parse().unwrap()))
    });
    let outside = ["fcall", "info"];
    calls
        .filter(|(name, _)| !outside.contains(&name.as_str()))
        .collect()
}

#[tokio::test]
async fn scripts_make_as_many_calls_as_budgeted() {
    let redis = RedisServer::volatile();
    let (store, mut connection) = (open_store(&redis), redis.connect());
    prepare(&store, &mut connection).await;
    let mut wrong = Vec::new();
    for (operation, budget, _) in BUDGETS {
        warm_up(&store, &mut connection, operation).await;
        let before = calls(&mut connection);
        run(&store, operation).await;
        let mut made = calls(&mut connection);
        for (name, calls) in &mut made {
            *calls -= before.get(name).unwrap_or(&0);
        }
        made.retain(|_, calls| *calls > 0);
        let sum: u64 = made.values().sum();
        if sum != budget {
            wrong.push(format!(
                "{operation:?}: {sum} calls, not {budget}: {made:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
#[ignore = "requires valgrind; run by `make budget`"]
async fn scripts_take_as_many_instructions_as_budgeted() {
    let redis = CountedRedis::start();
    let (store, mut connection) = (open_store(&redis.server), redis.server.connect());
    prepare(&store, &mut connection).await;
    let bare = count_bare(&redis, &mut connection);
    println!("bare script: {bare:.0} instructions");
    let mut wrong = Vec::new();
    for (operation, _, budget) in BUDGETS {
        warm_up(&store, &mut connection, operation).await;
        redis.take_instructions();
        for _ in 0..MEASURED {
            run(&store, operation).await;
        }
        let instructions = redis.take_instructions() / f64::from(MEASURED);
        let ratio = instructions / bare;
        let percent = (ratio / budget - 1.0) * 100.0;
        let line = format!(
            "{operation:?}: {instructions:.0} instructions, {ratio:.2} bare scripts; the budget is {budget:.2}: {percent:+.1} %"
        );
        println!("{line}");
        if (ratio / budget - 1.0).abs() > TOLERANCE {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The instructions of the bare script, on average of many calls: it is small beside what Lua's garbage collector does
/// now and then.
fn count_bare(redis: &CountedRedis, connection: &mut Connection) -> f64 {
    const CALLS: u32 = 3_000;
    let mut load = cmd("FUNCTION");
    load.arg("LOAD").arg(BARE).exec(connection).unwrap();
    let json = r#"{"seq":1,"from":"alice","to":"bob","id":"0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47","sent_at":"2026-01-31T12:00:00.000Z","body":""}"#;
    let json = json.replace(r#":""}"#, &format!(":\"{}\"}}", "x".repeat(100)));
    let mut run = || {
        let mut call = cmd("FCALL");
        call.arg("bare")
            .arg(2)
            .arg("bare:messages")
            .arg("bare:counts");
        call.arg("bob").arg(&json).exec(connection).unwrap();
    };
    (0..CALLS).for_each(|_| run());
    redis.take_instructions();
    (0..CALLS).for_each(|_| run());
    redis.take_instructions() / f64::from(CALLS)
}
