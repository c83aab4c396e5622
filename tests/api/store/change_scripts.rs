//! The scripts that change a conversation, called directly: refusals and repetitions write nothing,
//! and a full Redis can still be read.

use redis::{Commands, Connection, Value};

use crate::harness::store::lua::{Conversation, eval, keys_of_user};
use crate::harness::store::redis_server::{RedisServer, set_full};
use crate::harness::{keys, store::lua};
use crate::store::scripts::{
    change, contents, marks, read, refused_with, send, state, unread_count,
};

const TIME: &str = "2026-01-31T12:02:00.000Z";

/// A conversation with three messages of a, then one of b.
fn conversation() -> (RedisServer, Connection) {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    for (from, to) in [("a", "b"), ("a", "b"), ("a", "b"), ("b", "a")] {
        send(&mut redis, from, to, "").unwrap();
    }
    (server, redis)
}

/// The unread totals of a user: messages, and conversations that have any.
pub fn totals(redis: &mut Connection, user: &str) -> (u64, u64) {
    let [_, conversations, ..] = keys_of_user(user);
    let count = eval("count_unread", &[conversations], &[""; 0]);
    let (messages, conversations, _): (u64, u64, u64) = count.query(redis).unwrap();
    (messages, conversations)
}

#[test]
fn each_refusal_has_its_code_and_writes_nothing() {
    let (_server, mut redis) = conversation();
    let seen = |redis: &mut Connection| {
        change::<Value>(redis, "flag_conversation", &["a", "b", "blocked", "1"])
    };
    seen(&mut redis).unwrap();
    let draft = lua::draft("b", "a", "hi");
    let own = lua::draft("a", "b", "hi");
    let retried = ["a", "b", &own, "", "f1"];
    change::<Value>(&mut redis, "send_message", &retried).unwrap();
    let cases: &[(&str, &[&str], &str)] = &[
        ("send_message", &["b", "a", &draft], "BLOCKED"),
        (
            "update_conversation",
            &["a", "b", "", "1", "{}", "*", "0"],
            "TOO_MANY_PINNED",
        ),
        (
            "update_conversation",
            &["a", "b", "1", "", "{}", "{}", "100"],
            "CONVERSATION_CHANGED",
        ),
        ("send_message", &["a", "b", &own, "9"], "REPLY_TO_NOT_FOUND"),
        (
            "send_message",
            &["a", "b", &own, "", "f2"],
            "IDEMPOTENCY_KEY_REUSED",
        ),
        (
            "delete_message",
            &["a", "b", "9", TIME],
            "MESSAGE_NOT_FOUND",
        ),
        (
            "delete_message",
            &["a", "b", "0", TIME],
            "MESSAGE_NOT_FOUND",
        ),
        ("delete_message", &["b", "a", "1", TIME], "FORBIDDEN"),
        (
            "replace_message",
            &["a", "b", "1", "{}", "{}"],
            "MESSAGE_CHANGED",
        ),
        (
            "replace_message",
            &["a", "b", "9", "{}", "{}"],
            "MESSAGE_CHANGED",
        ),
    ];
    let before = contents(&mut redis);
    for (script, args, word) in cases {
        refused_with(change::<Value>(&mut redis, script, args), word);
        assert_eq!(contents(&mut redis), before, "{script} {word}");
    }
    lua::fill(&mut redis, "a", "b", 4_000);
    read(&mut redis, "b", "a", "0").unwrap();
    let before = contents(&mut redis);
    let far = change::<Value>(&mut redis, "mark_unread", &["b", "a", "1"]);
    refused_with(far, "TOO_FAR_BACK");
    assert_eq!(contents(&mut redis), before);
}

#[test]
fn repeating_a_change_writes_nothing() {
    let (_server, mut redis) = conversation();
    let newest: String = {
        let [messages, ..] = keys("a", "b");
        redis.lindex(messages, 0).unwrap()
    };
    let first: &[(&str, &[&str])] = &[
        ("mark_read", &["b", "a", "2"]),
        ("mark_delivered", &["b", "a", "3"]),
        ("flag_conversation", &["b", "a", "muted", "1"]),
        (
            "update_conversation",
            &["b", "a", "1", "1", "{}", "*", "100"],
        ),
        ("delete_message", &["a", "b", "3", TIME]),
        ("clear_conversation", &["a", "b"]),
    ];
    for (script, args) in first {
        change::<Value>(&mut redis, script, args).unwrap();
    }
    let before = contents(&mut redis);
    let again: &[(&str, &[&str])] = &[
        ("mark_read", &["b", "a", "1"]),
        ("mark_delivered", &["b", "a", "2"]),
        ("mark_unread", &["b", "a", "3"]),
        ("flag_conversation", &["b", "a", "blocked", "0"]),
        ("update_conversation", &["b", "a", "", "", "", "*", "100"]),
        ("update_conversation", &["b", "a", "1", "", "", "{}", "100"]),
        ("replace_message", &["a", "b", "4", &newest, &newest]),
    ];
    for (script, args) in first[..4].iter().chain(&first[5..]).chain(again) {
        change::<Value>(&mut redis, script, args).unwrap();
        assert_eq!(contents(&mut redis), before, "{script}");
    }
}

#[test]
fn a_full_redis_allows_only_reading_marking_and_clearing() {
    let (_server, mut redis) = conversation();
    let [messages, _] = keys("a", "b");
    let newest: String = redis.lindex(&messages, 0).unwrap();
    let own = lua::draft("a", "b", "hi");
    let refused: &[(&str, &[&str])] = &[
        ("send_message", &["a", "b", &own]),
        ("delete_message", &["a", "b", "1", TIME]),
        ("replace_message", &["a", "b", "4", &newest, "{}"]),
        ("mark_unread", &["b", "a", "1"]),
        ("mark_delivered", &["b", "a", "1"]),
        ("flag_conversation", &["b", "a", "muted", "1"]),
        ("update_conversation", &["b", "a", "1", "", "", "*", "100"]),
    ];
    set_full(&mut redis, true);
    let before = contents(&mut redis);
    for (script, args) in refused {
        refused_with(change::<Value>(&mut redis, script, args), "OOM");
    }
    assert_eq!(contents(&mut redis), before);
    change::<Value>(&mut redis, "mark_read", &["b", "a", "2"]).unwrap();
    assert_eq!(state(&mut redis)[4..], [1, 1]);
    assert_eq!(
        (marks(&mut redis, "b")[0], totals(&mut redis, "b")),
        (2, (1, 1))
    );
    assert_eq!(unread_count(&read(&mut redis, "b", "a", "0").unwrap()), 1);
    assert_eq!(totals(&mut redis, "b"), (0, 0));
    change::<Value>(&mut redis, "clear_conversation", &["a", "b"]).unwrap();
    assert_eq!(marks(&mut redis, "a")[3], 4);
    assert_eq!(totals(&mut redis, "a"), (0, 0));
    let [inbox, ..] = keys_of_user("a");
    assert_eq!(redis.zcard(&inbox), Ok(0));
}

#[test]
fn a_journal_exists_only_for_listeners_and_keeps_512_events() {
    let (_server, mut redis) = conversation();
    let [.., journal] = keys_of_user("b");
    assert_eq!(redis.exists(&journal), Ok(false), "b never listened");
    lua::open_stream(&mut redis, "b");
    for _ in 0..600 {
        send(&mut redis, "a", "b", "").unwrap();
    }
    let kept: u64 = redis.llen(&journal).unwrap();
    assert!((512..576).contains(&kept), "{kept}");
    let newest: String = redis.lindex(&journal, 0).unwrap();
    assert!(newest.contains(r#""last_seq":604"#), "{newest}");
    let [.., of_a] = keys_of_user("a");
    assert_eq!(redis.exists(&of_a), Ok(false));
}

#[test]
fn a_user_without_a_journal_is_not_a_listener() {
    let (_server, mut redis) = conversation();
    let [_, conversations, journal] = keys_of_user("b");
    let listens = |redis: &mut Connection| {
        send(redis, "a", "b", "").unwrap();
        let totals: String = redis.hget(&conversations, ",totals").unwrap();
        totals.ends_with("|1")
    };
    assert!(!listens(&mut redis));
    lua::open_stream(&mut redis, "b");
    assert!(listens(&mut redis));
    let _: () = redis.del(&journal).unwrap();
    assert!(!listens(&mut redis));
    assert_eq!(redis.exists(&journal), Ok(false));
    assert_eq!(totals(&mut redis, "b"), (6, 1), "with the same totals");
}

#[test]
fn versions_grow_even_when_the_clock_stands_still() {
    let (_server, mut redis) = conversation();
    let [_, meta_key] = keys("a", "b");
    let far = 8_000_000_000_000_000_u64;
    let _: () = redis
        .hset(&meta_key, "state", format!("4|{far}|0|0|0|4"))
        .unwrap();
    for step in 1..=3 {
        send(&mut redis, "a", "b", "").unwrap();
        assert_eq!(state(&mut redis)[1], far + step);
        let [_, conversations, ..] = keys_of_user("b");
        let row: String = redis.hget(&conversations, "a").unwrap();
        assert!(row.starts_with(&format!("{}|", far + step)), "{row}");
    }
}

#[test]
fn trim_conversation_drops_at_most_the_given_number() {
    let (_server, mut redis) = conversation();
    let trim = |redis: &mut Connection, [keep, since, limit]: &[&str; 3]| -> u64 {
        Conversation::of("a", "b")
            .keeping(keep, since)
            .eval("trim_conversation", &["a", "b", limit])
            .query(redis)
            .unwrap()
    };
    let before = contents(&mut redis);
    let kept = [
        ["0", "", "9"],
        ["4", "", "9"],
        ["0", "2026-01-31T12:00:00.000Z", "9"],
    ];
    for args in kept {
        assert_eq!(trim(&mut redis, &args), 0, "{args:?}");
    }
    assert_eq!(contents(&mut redis), before);
    assert_eq!(trim(&mut redis, &["1", "", "2"]), 2);
    assert_eq!(totals(&mut redis, "b"), (1, 1));
    assert_eq!(trim(&mut redis, &["0", "2026-01-31T12:00:00.001Z", "9"]), 2);
    assert_eq!(
        (totals(&mut redis, "a"), totals(&mut redis, "b")),
        ((0, 0), (0, 0))
    );
    let [messages, _] = keys("a", "b");
    assert_eq!(redis.exists(messages), Ok(false));
    assert_eq!(state(&mut redis)[4..], [0, 0]);
    assert_eq!(send(&mut redis, "a", "b", ""), Ok(5));
}

#[test]
fn a_change_drops_expired_messages_in_the_same_step() {
    let (_server, mut redis) = conversation();
    let [messages, ..] = keys("a", "b");
    let keeping = Conversation::of("a", "b").keeping("2", "");
    let mute = keeping.eval("flag_conversation", &["a", "b", "muted", "1"]);
    mute.exec(&mut redis).unwrap();
    assert_eq!(redis.llen(&messages), Ok(2));
    assert_eq!(
        totals(&mut redis, "b"),
        (1, 1),
        "although the change is private to a"
    );
}
