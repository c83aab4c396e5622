//! Scripts called directly do exactly what their headers say.

use redis::{Commands, Connection, RedisError, RedisResult, Value, cmd};

use crate::harness::keys;
use crate::harness::store::lua::{Conversation, draft, eval};
use crate::harness::store::redis_server::{RedisServer, set_full};

/// Calls a script by name with keys and arguments.
fn call<T: redis::FromRedisValue>(
    redis: &mut Connection,
    script: &str,
    keys: &[&str],
    args: &[&str],
) -> RedisResult<T> {
    eval(script, keys, args).query(redis)
}

/// Calls a script that changes the conversation of a and b, with its own arguments.
pub fn change<T: redis::FromRedisValue>(
    redis: &mut Connection,
    script: &str,
    args: &[&str],
) -> RedisResult<T> {
    Conversation::of("a", "b").eval(script, args).query(redis)
}

/// Sends a message and returns its seq.
pub fn send(redis: &mut Connection, from: &str, to: &str, reply_to: &str) -> RedisResult<u64> {
    let args = [from, to, &draft(from, to, "hi"), reply_to];
    change(redis, "send_message", &args)
}

/// How the reader saw the conversation, history, unread messages, cursors, metadata, and what it needs of the archive.
pub type Page = (
    String,
    Vec<String>,
    Vec<String>,
    Option<u64>,
    Option<u64>,
    String,
    Option<Vec<Value>>,
);

pub fn read(redis: &mut Connection, reader: &str, peer: &str, peek: &str) -> RedisResult<Page> {
    let args = [reader, peer, "50", "newest", "", peek, "500", "458752"];
    change(redis, "read_conversation", &args)
}

/// The numbers with which the state of a and b begins, as `lua/lib/state.lua` has them.
pub fn state(redis: &mut Connection) -> Vec<u64> {
    numbers(&state_parts(redis)[0])
}

/// The marks of a, or of b.
pub fn marks(redis: &mut Connection, user: &str) -> Vec<u64> {
    numbers(&state_parts(redis)[if user == "a" { 1 } else { 2 }])
}

fn state_parts(redis: &mut Connection) -> Vec<String> {
    let [_, meta] = keys("a", "b");
    let text: String = redis.hget(meta, "state").unwrap();
    text.split(';').map(str::to_owned).collect()
}

fn numbers(text: &str) -> Vec<u64> {
    let numbers = text.split('|').map(|number| number.parse().unwrap());
    numbers.collect()
}

/// The count with which an entry begins.
pub fn unread_count(page: &Page) -> u64 {
    page.0.split('|').next().unwrap().parse().unwrap()
}

/// All keys in Redis with their serialized values.
pub fn contents(redis: &mut Connection) -> Vec<(String, Vec<u8>)> {
    let mut keys: Vec<String> = redis.keys("*").unwrap();
    keys.sort();
    let dump = |key: String| {
        let dump = cmd("DUMP").arg(&key).query(redis).unwrap();
        (key, dump)
    };
    keys.into_iter().map(dump).collect()
}

#[track_caller]
pub fn refused_with(result: RedisResult<impl std::fmt::Debug>, word: &str) {
    let error: RedisError = result.unwrap_err();
    assert_eq!(error.code(), Some(word), "{error}");
}

#[test]
fn send_message_assigns_seqs_stores_and_counts() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let [messages, _] = keys("a", "b");
    assert_eq!(send(&mut redis, "a", "b", ""), Ok(1));
    assert_eq!(send(&mut redis, "b", "a", "1"), Ok(2));
    assert_eq!(send(&mut redis, "a", "b", "2"), Ok(3));
    let stored: Vec<String> = redis.lrange(&messages, 0, -1).unwrap();
    assert_eq!(stored[0], [r#"{"seq":3,"#, &draft("a", "b", "hi")].concat());
    assert_eq!(stored.len(), 3);
    let state = state(&mut redis);
    assert_eq!((state[0], &state[4..]), (3, &[1, 2][..]));
}

#[test]
fn send_message_writes_large_seqs_without_an_exponent() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let [messages, meta_key] = keys("a", "b");
    let _: () = redis
        .hset(meta_key, "state", "9007199254740989|1|0|0|0|0")
        .unwrap();
    assert_eq!(send(&mut redis, "a", "b", ""), Ok(9007199254740990));
    let stored: String = redis.lindex(&messages, 0).unwrap();
    assert!(
        stored.starts_with(r#"{"seq":9007199254740990,"#),
        "{stored}"
    );
    let page = read(&mut redis, "b", "a", "0").unwrap();
    assert_eq!(
        (page.0.as_str(), page.1.len(), page.2.len()),
        ("1|00000|9007199254740990|0|0|0", 1, 1)
    );
    assert_eq!(marks(&mut redis, "b")[0], 9007199254740990);
}

#[test]
fn send_message_refuses_replies_to_nothing_and_writes_nothing() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let [messages, _] = keys("a", "b");
    refused_with(send(&mut redis, "a", "b", "1"), "REPLY_TO_NOT_FOUND");
    assert_eq!(contents(&mut redis), []);
    for _ in 0..3 {
        send(&mut redis, "a", "b", "").unwrap();
    }
    // Simulates that the oldest message was trimmed.
    let _: () = redis.ltrim(&messages, 0, 1).unwrap();
    let before = contents(&mut redis);
    for seq in ["0", "1", "4", "9007199254740991"] {
        refused_with(send(&mut redis, "a", "b", seq), "REPLY_TO_NOT_FOUND");
    }
    assert_eq!(contents(&mut redis), before);
    assert_eq!(send(&mut redis, "a", "b", "2"), Ok(4));
}

#[test]
fn send_message_writes_nothing_when_redis_is_full() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    send(&mut redis, "a", "b", "").unwrap();
    let before = contents(&mut redis);
    set_full(&mut redis, true);
    refused_with(send(&mut redis, "a", "b", ""), "OOM");
    assert_eq!(contents(&mut redis), before);
    set_full(&mut redis, false);
    assert_eq!(send(&mut redis, "a", "b", ""), Ok(2));
}

#[test]
fn read_conversation_resets_even_when_redis_is_full() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    send(&mut redis, "a", "b", "").unwrap();
    send(&mut redis, "b", "a", "").unwrap();
    set_full(&mut redis, true);
    let page = read(&mut redis, "b", "a", "0").unwrap();
    assert_eq!((page.1.len(), unread_count(&page), page.2.len()), (2, 1, 1));
    assert_eq!(state(&mut redis)[4..], [1, 0]);
    assert_eq!(marks(&mut redis, "b")[0], 2);
    // There is nothing to reset, but the read mark still moves.
    set_full(&mut redis, false);
    send(&mut redis, "b", "a", "").unwrap();
    set_full(&mut redis, true);
    assert_eq!(unread_count(&read(&mut redis, "b", "a", "0").unwrap()), 0);
    assert_eq!(marks(&mut redis, "b")[0], 3);
    let counts = &state(&mut redis)[4..];
    assert_eq!(counts, [2, 0], "the peer's count stays");
}

#[test]
fn read_conversation_writes_nothing_when_peeking() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    read(&mut redis, "b", "a", "0").unwrap();
    assert_eq!(
        contents(&mut redis),
        [],
        "nor does reading what is not there"
    );
    send(&mut redis, "a", "b", "").unwrap();
    let before = contents(&mut redis);
    assert_eq!(unread_count(&read(&mut redis, "b", "a", "1").unwrap()), 1);
    assert_eq!(contents(&mut redis), before);
}

#[test]
fn read_conversation_works_on_a_trimmed_list() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let [messages, _] = keys("a", "b");
    for _ in 0..10 {
        send(&mut redis, "a", "b", "").unwrap();
    }
    let _: () = redis.ltrim(&messages, 0, 3).unwrap();
    let seqs = |page: &Page| -> Vec<String> {
        page.1
            .iter()
            .map(|m| m[7..].split(',').next().unwrap().to_owned())
            .collect()
    };
    let all = vec!["10", "9", "8", "7"];
    let cases = [
        (["newest", ""], all.clone(), None, None),
        (["before", "9"], vec!["8", "7"], None, Some(8)),
        (["before", "7"], vec![], None, Some(6)),
        (["before", "3"], vec![], None, Some(6)),
        (["after", "0"], all.clone(), None, None),
        (["after", "8"], vec!["10", "9"], Some(9), None),
        (["after", "10"], vec![], Some(11), None),
        (["around", "1"], all, None, None),
    ];
    for ([range, place], expected, next_before, next_after) in cases {
        let args = ["b", "a", "50", range, place, "1", "500", "458752"];
        let page: Page = change(&mut redis, "read_conversation", &args).unwrap();
        assert_eq!(seqs(&page), expected, "{range} {place}");
        assert_eq!(
            (unread_count(&page), page.2.len()),
            (10, 4),
            "the count is exact, the messages those left"
        );
        assert_eq!(
            (page.3, page.4),
            (next_before, next_after),
            "{range} {place}"
        );
    }
}

#[test]
fn read_last_messages_returns_messages_by_seq_or_nothing() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let [messages, _] = keys("a", "b");
    for _ in 0..4 {
        send(&mut redis, "a", "b", "").unwrap();
    }
    let _: () = redis.ltrim(&messages, 0, 1).unwrap();
    let keys = [messages.as_str(), &messages, &messages, &messages, "none"];
    let seqs = ["4", "3", "2", "5", "1"];
    let found: Vec<String> = call(&mut redis, "read_last_messages", &keys, &seqs).unwrap();
    let message = |seq: u64| [format!(r#"{{"seq":{seq},"#), draft("a", "b", "hi")].concat();
    assert_eq!(found[..2], [message(4), message(3)]);
    assert_eq!(found[2..], ["", "", ""], "dropped, not there yet, no list");
}

#[test]
fn open_store_claims_an_empty_store_and_leaves_an_old_one_alone() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let mut open =
        |partitions| call::<String>(&mut redis, "open_store", &["marker"], &[partitions]);
    assert_eq!(open("3,256").unwrap(), "3,256");
    assert_eq!(open("4,512").unwrap(), "3,256");
    assert_eq!(redis.get("marker"), Ok("3,256".to_owned()));
}

#[test]
fn check_ready_returns_the_partitions_and_cannot_write() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let mut check = || call::<Option<String>>(&mut redis, "check_ready", &["marker"], &[]);
    assert_eq!(check(), Ok(None));
    let _: () = server.connect().set("marker", "3,256").unwrap();
    assert_eq!(check(), Ok(Some("3,256".to_owned())));
    set_full(&mut server.connect(), true);
    assert_eq!(check(), Ok(Some("3,256".to_owned())), "full or not");
    let scripts = duologue::store::SCRIPTS.iter();
    for script in scripts.filter(|s| s.name.starts_with("check_")) {
        assert!(
            script.source.starts_with("#!lua flags=no-writes\n"),
            "{}",
            script.name
        );
    }
}

#[test]
fn read_conversation_returns_seven_fields() {
    // The store relies on the form of this reply: seven fields, with numbers as numbers.
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let args = ["b", "a", "50", "newest", "", "0", "500", "458752"];
    let reply: Value = change(&mut redis, "read_conversation", &args).unwrap();
    let none = || Value::Array(Vec::new());
    let entry = Value::BulkString(b"0|00000|0|0|0|0".to_vec());
    let metadata = Value::BulkString(Vec::new());
    let nil = Value::Nil;
    let expected = [
        entry,
        none(),
        none(),
        nil.clone(),
        nil.clone(),
        metadata,
        nil,
    ];
    assert_eq!(reply, Value::Array(expected.to_vec()));
}
