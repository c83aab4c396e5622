//! Every script that writes, while the slot of its keys moves: it is refused as a whole or done as a whole, wherever
//! its keys are.

use std::collections::{BTreeMap, BTreeSet};

use duologue::store::{RetrySafety, SCRIPTS};
use redis::{Cmd, Connection, ErrorKind, RedisResult, ServerErrorKind, Value, cmd};

use super::moving_cases::{CASES, Case};
use super::moving_feed_cases::FEED_CASES;
use super::moving_room_cases::ROOM_CASES;
use crate::harness::store::lua::{self, eval, key_names};
use crate::harness::store::redis_cluster::RedisCluster;

/// The names of all keys.
const KEYS: [&str; 31] = [
    "messages",
    "meta",
    "outbox",
    "idempotency",
    "bucket",
    "imported",
    "schedule",
    "typing",
    "ticket",
    "inbox",
    "conversations",
    "events",
    "presence",
    "leases",
    "forgotten",
    "pinning",
    "members",
    "room_events",
    "lease",
    "rooms",
    "store",
    "feed",
    "readers",
    "badges",
    "subscriptions",
    "long",
    "garbage",
    "webhook",
    "dead",
    "dead_order",
    "erased",
];

/// Keys of their own, all in the slot that moves, for one run of a script.
struct Dataset {
    case: &'static Case,
    number: usize,
}

/// The names of the keys of a script on a cluster, where the outbox is in the place of the keys of users, and nobody
/// is charged in the same step.
fn keys_of(script: &str) -> Vec<&'static str> {
    let named = |name: &'static str| match (script, name) {
        ("charge_rate", name) => Some(name),
        // Any key may be in its place.
        ("send_message", "bucket") => Some("outbox"),
        (_, "bucket") => None,
        (_, name) if name.starts_with("user_") || name.starts_with("peer_") => Some("outbox"),
        (_, name) => Some(name),
    };
    let names = key_names(lua::script(script)).into_iter();
    names.filter_map(named).collect()
}

impl Dataset {
    fn key(&self, name: &str) -> String {
        format!("{{moving}}{}:{name}:a,b", self.number)
    }

    /// A call of a script, or a command in which `@` begins the name of a key.
    fn call(&self, step: &[&str]) -> Cmd {
        let (name, args) = step.split_first().unwrap();
        if name.chars().all(char::is_uppercase) {
            let mut command = cmd(name);
            for arg in args {
                let key = arg.strip_prefix('@').map(|name| self.key(name));
                command.arg(key.as_deref().unwrap_or(arg));
            }
            return command;
        }
        let keys: Vec<_> = keys_of(name).iter().map(|key| self.key(key)).collect();
        eval(name, &keys, args)
    }

    fn fill(&self, redis: &mut Connection) {
        for step in self.case.fill.iter().chain(self.case.setup) {
            let done = self.call(step).exec(redis);
            done.unwrap_or_else(|error| panic!("{}: {step:?}: {error}", self.case.script));
        }
    }

    fn run(&self, redis: &mut Connection) -> RedisResult<Value> {
        let step = [&[self.case.script], self.case.args].concat();
        self.call(&step).query(redis)
    }

    /// The values of all keys at a node, as they are serialized.
    fn dump(&self, redis: &mut Connection) -> Vec<Option<Vec<u8>>> {
        let dump = |name: &&str| ask(redis, cmd("DUMP").arg(self.key(name))).ok().flatten();
        KEYS.iter().map(dump).collect()
    }

    /// The values of all keys, with times left out, because they differ in each run.
    fn text(&self, nodes: &mut [&mut Connection]) -> Vec<String> {
        let text = |name: &&str| {
            let key = self.key(name);
            let mut texts = nodes.iter_mut().map(|redis| text_of(redis, &key));
            texts.find(|text| !text.is_empty()).unwrap_or_default()
        };
        KEYS.iter().map(text).collect()
    }
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(ROOM_CASES).chain(FEED_CASES)
}

/// Asks a node, which may have the key although its slot is another node's.
fn ask<T: redis::FromRedisValue>(redis: &mut Connection, command: &Cmd) -> RedisResult<T> {
    cmd("ASKING").exec(redis)?;
    command.query(redis)
}

fn text_of(redis: &mut Connection, key: &str) -> String {
    let kind: String = ask(redis, cmd("TYPE").arg(key)).unwrap_or_default();
    let mut read = match kind.as_str() {
        "string" => cmd("GET"),
        "list" => cmd("LRANGE"),
        "hash" => cmd("HGETALL"),
        "zset" => cmd("ZRANGE"),
        "stream" => cmd("XRANGE"),
        _ => return String::new(),
    };
    read.arg(key);
    match kind.as_str() {
        "list" => read.arg(0).arg(-1),
        "stream" => read.arg("-").arg("+"),
        "zset" => read.arg(0).arg(-1).arg("WITHSCORES"),
        _ => &mut read,
    };
    if kind == "hash" {
        // Fields have no order.
        let fields: BTreeMap<String, String> = ask(redis, &read).unwrap();
        return without_numbers(&format!("{fields:?}"));
    }
    let value: Value = ask(redis, &read).unwrap();
    let groups = (kind == "stream").then(|| -> Value {
        let mut groups = cmd("XINFO");
        ask(redis, groups.arg("GROUPS").arg(key)).unwrap()
    });
    without_numbers(&format!("{value:?} {groups:?}"))
}

/// Replaces the numbers of three digits and more, and what follows them in an id of a stream, but not the flags of
/// users.
fn without_numbers(text: &str) -> String {
    let mut parts = Vec::<String>::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        let is_flags = digits.len() == 5 && !digits.contains(|c| c > '1');
        let ends_id = !digits.is_empty() && parts.last().is_some_and(|before| before == "#-");
        let is_kept = is_flags || digits.len() < 3 && !ends_id;
        let replaced = if is_kept { digits } else { "#" };
        parts.push([replaced, &part[digits.len()..]].concat());
    }
    parts.concat()
}

/// Runs the script as a client of a cluster does.
fn run_redirected(
    dataset: &Dataset,
    from: &mut Connection,
    to: &mut Connection,
) -> RedisResult<Value> {
    let first = dataset.run(from);
    let redirected = ErrorKind::Server(ServerErrorKind::Ask);
    if first
        .as_ref()
        .is_err_and(|error| error.kind() == redirected)
    {
        cmd("ASKING").exec(to)?;
        return dataset.run(to);
    }
    first
}

/// Which of the script's keys move before it runs: none, all, or one of them.
fn moves(case: &Case) -> Vec<Vec<&'static str>> {
    let keys: BTreeSet<_> = keys_of(case.script).into_iter().collect();
    let all: Vec<_> = keys.iter().copied().collect();
    let each = keys.into_iter().map(|key| vec![key]);
    [Vec::new(), all].into_iter().chain(each).collect()
}

#[test]
fn every_script_that_writes_has_a_case() {
    let cases: BTreeSet<_> = all_cases().map(|case| case.script).collect();
    let writing = SCRIPTS
        .iter()
        .filter(|script| script.retry != RetrySafety::ReadsOnly);
    let writing: BTreeSet<_> = writing.map(|script| script.name).collect();
    assert_eq!(cases, writing, "moving_cases.rs lists them");
}

/// Runs a script while nothing moves. Returns what its keys hold afterwards.
fn run_unmoved(dataset: &Dataset, redis: &mut Connection) -> Vec<String> {
    let (case, before) = (dataset.case, dataset.dump(redis));
    let done = dataset.run(redis);
    done.unwrap_or_else(|error| panic!("{}: {error}", case.script));
    let changed = dataset.dump(redis) != before;
    assert_eq!(changed, case.changes, "{}", case.script);
    dataset.text(&mut [redis])
}

/// Runs a script of which these keys have moved. Returns whether it was done: then its keys hold what they hold when
/// nothing moves, and otherwise what they held before.
fn is_done(
    dataset: &Dataset,
    moved: &[&str],
    done: &[String],
    [from, to]: [&mut Connection; 2],
) -> bool {
    let before = [dataset.dump(from), dataset.dump(to)];
    let outcome = run_redirected(dataset, from, to);
    let what = format!("{} with {moved:?} moved: {outcome:?}", dataset.case.script);
    if outcome.is_ok() {
        assert_eq!(dataset.text(&mut [from, to]), done, "{what}");
    } else {
        let after = [dataset.dump(from), dataset.dump(to)];
        assert_eq!(after, before, "{what}");
    }
    outcome.is_ok()
}

#[test]
fn a_script_in_a_moving_slot_is_done_as_a_whole_or_not() {
    let cluster = RedisCluster::start();
    let slot = cluster.slot_of("{moving}");
    let (from_index, to_index) = (
        RedisCluster::index_of(slot),
        (RedisCluster::index_of(slot) + 1) % 3,
    );
    let mut from = cluster.masters[from_index].connect();
    let mut to = cluster.masters[to_index].connect();
    let (mut number, mut moving) = (0, Vec::new());
    let mut dataset = |case: &'static Case, redis: &mut Connection| {
        number += 1;
        let dataset = Dataset { case, number };
        dataset.fill(redis);
        dataset
    };
    for case in all_cases() {
        let done = run_unmoved(&dataset(case, &mut from), &mut from);
        for moved in moves(case) {
            moving.push((dataset(case, &mut from), moved, done.clone()));
        }
    }
    cluster.begin_move(slot, from_index, to_index);
    let (total, mut made) = (moving.len(), 0);
    for (dataset, moved, done) in moving {
        let keys: Vec<_> = moved.iter().map(|name| dataset.key(name)).collect();
        if !keys.is_empty() {
            cluster.move_keys(from_index, to_index, &keys);
        }
        let nodes = [&mut from, &mut to];
        made += usize::from(is_done(&dataset, &moved, &done, nodes));
    }
    let (cases, refused) = (all_cases().count(), total - made);
    assert!(
        refused > cases && made > cases,
        "refused {refused}, made {made}"
    );
}
