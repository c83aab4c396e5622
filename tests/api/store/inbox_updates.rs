//! Rows of inboxes have the version of their conversation, and an update that finds another one says so.

use redis::{Commands, Connection, RedisResult, Value};
use serde_json::Value as Json;

use crate::harness::store::lua::{draft, keys_of_user, open_stream, update_inbox};
use crate::harness::store::outbox::row_version;
use crate::harness::store::redis_server::RedisServer;
use crate::store::change_scripts::totals;
use crate::store::scripts::{change, contents, send, state};

/// An update of the row of a in the inbox of b, as a step of its own.
struct Update {
    base: u64,
    version: u64,
    unread: u64,
    kind: &'static str,
}

impl Update {
    fn run(&self, redis: &mut Connection) -> String {
        let [base, version] = [self.base, self.version].map(|number| number.to_string());
        // Only what the user is told moves the conversation to the top.
        let active = if self.kind.is_empty() {
            &base
        } else {
            &version
        };
        let entry = format!("{}|00000|9|0|0|0", self.unread);
        let message = r#"{"seq":9}"#;
        let args = ["a", &version, &base, active, &entry, self.kind, message, ""];
        let args = args.map(|arg| Value::BulkString(arg.into()));
        update_inbox(redis, "b", &Value::Array(args.to_vec()))
    }
}

fn told(base: u64, version: u64, unread: u64) -> Update {
    let kind = "message.created";
    Update {
        base,
        version,
        unread,
        kind,
    }
}

/// The newest events of b's journal, newest first: type and whether there is a message.
fn events(redis: &mut Connection) -> Vec<(String, bool)> {
    let [.., journal] = keys_of_user("b");
    let events: Vec<String> = redis.lrange(journal, 0, -1).unwrap();
    let events = events
        .iter()
        .map(|event| serde_json::from_str::<Json>(event));
    let events = events.filter_map(Result::ok);
    let of_type = |event: Json| {
        Some((
            event["type"].as_str()?.to_owned(),
            event["message"].is_object(),
        ))
    };
    events.filter_map(of_type).collect()
}

#[test]
fn inbox_updates_may_be_repeated_late_and_reordered() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    assert_eq!(told(0, 10, 1).run(&mut redis), "exact");
    assert_eq!(told(20, 30, 3).run(&mut redis), "gap");
    let before = contents(&mut redis);
    assert_eq!(told(10, 20, 2).run(&mut redis), "stale", "an older version");
    assert_eq!(told(20, 30, 3).run(&mut redis), "stale", "twice");
    assert_eq!(contents(&mut redis), before);
    assert_eq!(totals(&mut redis, "b"), (3, 1));
}

#[test]
fn an_update_after_a_missed_one_is_a_changed_conversation() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    open_stream(&mut redis, "b");
    told(0, 10, 1).run(&mut redis);
    told(20, 30, 3).run(&mut redis);
    let expected = [("conversation.changed", false), ("message.created", true)];
    let expected = expected.map(|(kind, message)| (kind.to_owned(), message));
    assert_eq!(events(&mut redis), expected);
    // The gap is told even if the change itself would not be.
    let silent = Update {
        kind: "",
        ..told(40, 50, 3)
    };
    assert_eq!(silent.run(&mut redis), "gap");
    assert_eq!(events(&mut redis).len(), 3);
}

#[test]
fn a_silent_update_only_takes_the_version() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    open_stream(&mut redis, "b");
    told(0, 10, 1).run(&mut redis);
    let [inbox, conversations, journal] = keys_of_user("b");
    let seen = |redis: &mut Connection| -> (Vec<String>, String, Vec<String>) {
        (
            redis.zrange(&inbox, 0, -1).unwrap(),
            redis.hget(&conversations, ",totals").unwrap(),
            redis.lrange(&journal, 0, -1).unwrap(),
        )
    };
    let before = seen(&mut redis);
    let silent = Update {
        kind: "",
        ..told(10, 30, 1)
    };
    assert_eq!(silent.run(&mut redis), "silent");
    assert_eq!(seen(&mut redis), before);
    assert_eq!(row_version(&mut redis, "b", "a"), Some(30));
    // The next event follows the last one, and the offset of the row is that of its last event.
    assert_eq!(told(30, 40, 2).run(&mut redis), "exact");
    let newest: Json = serde_json::from_str(&seen(&mut redis).2[0]).unwrap();
    assert!(
        newest["prev"].as_str().unwrap().ends_with("-10"),
        "{newest}"
    );
    assert_eq!(totals(&mut redis, "b"), (2, 1));
}

#[test]
fn rows_have_the_version_of_the_conversation_after_each_change() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let time = "2026-01-31T12:02:00.000Z";
    let first = draft("a", "b", "hi");
    let answer = draft("b", "a", "hi");
    let changes: &[(&str, &[&str])] = &[
        ("send_message", &["a", "b", &first]),
        ("send_message", &["b", "a", &answer]),
        ("flag_conversation", &["a", "b", "muted", "1"]),
        ("mark_read", &["b", "a", "1", "1"]),
        ("mark_unread", &["b", "a", "1"]),
        ("update_conversation", &["b", "a", "1", "1", "{}", "*", "9"]),
        ("clear_conversation", &["b", "a"]),
        ("delete_message", &["a", "b", "1", time]),
        ("mark_delivered", &["a", "b", "2"]),
    ];
    for (script, args) in changes {
        let changed: RedisResult<Value> = change(&mut redis, script, args);
        changed.unwrap();
        let version = Some(state(&mut redis)[1]);
        for (user, peer) in [("a", "b"), ("b", "a")] {
            assert_eq!(
                row_version(&mut redis, user, peer),
                version,
                "{script}: {user}"
            );
        }
    }
}

#[test]
fn a_private_change_before_any_message_is_not_seen_by_the_peer() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    open_stream(&mut redis, "b");
    let mute = ["a", "b", "muted", "1"];
    change::<Value>(&mut redis, "flag_conversation", &mute).unwrap();
    assert_eq!(row_version(&mut redis, "b", "a"), None);
    assert_eq!(events(&mut redis), []);
    send(&mut redis, "a", "b", "").unwrap();
    let created = ("message.created".to_owned(), true);
    assert_eq!(events(&mut redis), [created], "the first message is exact");
}
