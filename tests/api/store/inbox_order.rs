//! An inbox is ordered by the newest messages of its conversations, although a conversation that stays
//! on top is not moved.

use redis::{Commands, Connection};

use crate::harness::keys;
use crate::harness::rng::Rng;
use crate::harness::store::lua::{Conversation, draft, keys_of_user};
use crate::harness::store::redis_server::RedisServer;

const PEERS: [&str; 5] = ["p0", "p1", "p2", "p3", "p4"];

fn run(redis: &mut Connection, script: &str, user: &str, peer: &str, args: &[&str]) {
    let args = [&[user, peer], args].concat();
    let call = Conversation::of(user, peer).eval(script, &args);
    // A conversation with sent messages refuses imports.
    let _: redis::RedisResult<redis::Value> = call.query(redis);
}

/// The peers of `a`, pinned ones first, each with the newest message first, as the conversations have
/// it.
fn truth(redis: &mut Connection) -> Vec<&'static str> {
    let mut listed = Vec::new();
    for peer in PEERS {
        let [_, meta] = keys("a", peer);
        let stored: Option<String> = redis.hget(meta, "state").unwrap();
        let stored = stored.unwrap_or_else(|| "0|0|0".to_owned());
        let mut parts = stored.split(';');
        let numbers = parts.next().unwrap_or_default().split('|');
        let state: Vec<i64> = numbers.map(|number| number.parse().unwrap()).collect();
        // The first user of each of these pairs is `a`.
        let marks: Vec<_> = parts.next().unwrap_or_default().split('|').collect();
        let pinned = marks
            .get(4)
            .is_some_and(|flags| flags.as_bytes()[3] == b'1');
        let cleared = marks.get(3).map_or(0, |cleared| cleared.parse().unwrap());
        let (seq, active) = (state[0], state[1] - state[2]);
        if seq > cleared {
            listed.push((pinned, active, peer));
        }
    }
    listed.sort_unstable();
    listed.into_iter().rev().map(|(.., peer)| peer).collect()
}

/// The arguments that pin or unpin a conversation.
fn pin(on: &str) -> [&str; 5] {
    ["", on, "", "*", "100"]
}

#[test]
fn the_inbox_is_always_in_the_order_of_newest_messages() {
    let server = RedisServer::volatile();
    let mut redis = server.connect();
    let [inbox, ..] = keys_of_user("a");
    let mut rng = Rng::new(9);
    for step in 0..3000 {
        let peer = *rng.one_of(&PEERS);
        let redis = &mut redis;
        match rng.below(14) {
            0..=2 => run(redis, "send_message", "a", peer, &[&draft("a", peer, "x")]),
            3..=5 => run(redis, "send_message", peer, "a", &[&draft(peer, "a", "x")]),
            6 => run(redis, "mark_read", "a", peer, &["9007199254740991"]),
            7 => run(redis, "flag_conversation", "a", peer, &["muted", "1"]),
            8 => run(redis, "flag_conversation", "a", peer, &["muted", "0"]),
            12 => run(redis, "update_conversation", "a", peer, &pin("1")),
            13 => run(redis, "update_conversation", "a", peer, &pin("0")),
            9 if step % 4 == 0 => run(redis, "clear_conversation", "a", peer, &[]),
            10 if step % 16 == 0 => {
                // Deletes the conversation, so that it can be imported again.
                let [messages, meta] = keys("a", peer);
                let [inbox, conversations, _] = keys_of_user("a");
                let _: () = redis.del(&[messages, meta]).unwrap();
                let _: () = redis.zrem(inbox, peer).unwrap();
                let _: () = redis.hdel(conversations, peer).unwrap();
            }
            _ => {
                let now: (i64, i64) = redis::cmd("TIME").query(redis).unwrap();
                let ago = i64::try_from(rng.below(200_000)).unwrap();
                let sent_us = (now.0 * 1_000_000 + now.1 - ago).to_string();
                let (id, json) = (format!("i{step}"), draft("a", peer, "x"));
                let args = [sent_us.as_str(), &id, "2026-01-31T12:00:00.000Z", &json];
                run(redis, "import_messages", "a", peer, &args);
            }
        }
        let order: Vec<String> = redis.zrevrange(&inbox, 0, -1).unwrap();
        assert_eq!(order, truth(redis), "after step {step}");
    }
}
