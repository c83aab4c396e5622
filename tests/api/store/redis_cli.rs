//! Every script runs by redis-cli with the keys and arguments that its header names, and those that
//! only read change nothing.

use std::collections::BTreeMap;
use std::process::Command;

use duologue::model::{Pair, RoomName, UserId};
use duologue::store::{Keys, RetrySafety, SCRIPTS, Script};

use crate::harness::store::lua::{key_names, names_in, open_stream};
use crate::harness::store::redis_server::RedisServer;
use crate::harness::store::rooms::{create_room, send_in_room};
use crate::store::scripts::{contents, send};

/// A message to the room `x`, from its second member on.
const ROOM_MESSAGE: &str =
    r#""from":"a","to":"room:x","id":"x","sent_at":"2026-01-31T12:00:00.000Z","body":""}"#;
/// A version of a room, and the record of a member.
const VERSION: &str = "1769860800000001";
const MEMBER: &str = "member|1769860800000000|1769860800000|0|0|0|00000|0|0";

/// A value for each name of a key or argument of any script, for the conversation of a and b.
fn values() -> BTreeMap<&'static str, String> {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    let (keys, pair) = (Keys::new(), Pair::of(&user("a"), &user("b")));
    let message = r#""from":"a","to":"b","id":"x","sent_at":"2026-01-31T12:00:00.000Z","body":""}"#;
    let stored = format!("{{\"seq\":1,{message}");
    let of_user = ["inbox", "conversations", "events"];
    let mut values = BTreeMap::from([
        ("messages", keys.messages(&pair)),
        ("meta", keys.meta(&pair)),
        ("idempotency", keys.idempotency(&pair, None)),
        ("imported", keys.imported(&pair)),
        ("schedule", keys.schedule(pair.as_str())),
        ("outbox", keys.outbox(pair.as_str())),
        ("feed", keys.feed(pair.as_str())),
        ("readers", keys.feed_and_readers(0)[1].clone()),
        ("subscriptions", keys.subscriptions()),
        ("webhook", keys.webhook("s")),
        ("dead", keys.dead_letters("s")[0].clone()),
        ("dead_order", keys.dead_letters("s")[1].clone()),
        ("erased", keys.erased()),
        ("badge_subscriptions", keys.subscription("s")[4].clone()),
        ("typing", keys.typing(&pair, &user("a"))),
        ("forgotten", keys.forgotten("a", "b")),
        ("pinning", keys.pinning("a")),
        ("presence", keys.presence("a")),
        ("leases", keys.leases("a")),
        ("badges", keys.badges("a")),
        ("ticket", keys.ticket("digest")),
        ("store", keys.store()),
        ("long", keys.long(pair.as_str())),
        ("garbage", keys.garbage(pair.as_str())),
        ("name", pair.as_str().to_owned()),
        ("channel", keys.events("b")),
        ("json", message.to_owned()),
        ("old", stored.clone()),
        ("new", stored),
    ]);
    for (name, key) in of_user.iter().zip(keys.user("a")) {
        values.insert(name, key);
    }
    let of_change = [
        "user_inbox",
        "user_conversations",
        "user_events",
        "peer_inbox",
        "peer_conversations",
        "peer_events",
    ];
    let both = keys.user("a").into_iter().chain(keys.user("b"));
    values.extend(of_change.into_iter().zip(both));
    let plain = [
        ("bucket", "bucket"),
        ("user", "a"),
        ("peer", "b"),
        ("viewer", "b"),
        ("process", "p1"),
        ("bearer", "a,"),
        ("ours", "3,256"),
        ("flag", "muted"),
        ("range", "newest"),
        ("kind", "conversation.changed"),
        ("event", "{}"),
        ("entry", "0|00000|1|0|0|0"),
        ("epoch", "1"),
        ("deleted_at", "2026-01-31T12:00:00.000Z"),
    ];
    values.extend(plain.map(|(name, value)| (name, value.to_owned())));
    let empty = [
        "retention",
        "reply_to",
        "fingerprint",
        "before",
        "after",
        "place",
        "scan",
        "score",
        "message",
        "old_metadata",
        "part",
        "wanted",
        "given",
        "random",
    ];
    values.extend(empty.map(|name| (name, String::new())));
    values
}

/// The same for the room `x`, of which a is a member.
fn values_in_room() -> BTreeMap<&'static str, String> {
    let keys = Keys::new();
    let room = RoomName::of_id("x").unwrap();
    let [messages, meta, members, room_events, outbox, lease, feed] = keys.room(&room);
    let mut values = values();
    let stored = format!("{{\"seq\":1,{ROOM_MESSAGE}");
    values.extend([
        ("messages", messages),
        ("meta", meta),
        ("members", members),
        ("room_events", room_events),
        ("outbox", outbox),
        ("lease", lease),
        ("feed", feed),
        ("idempotency", keys.room_idempotency(&room, None)),
        ("schedule", keys.schedule(room.as_str())),
        ("garbage", keys.garbage(room.as_str())),
        ("name", room.as_str().to_owned()),
        ("json", ROOM_MESSAGE.to_owned()),
        ("old", stored.clone()),
        ("new", stored),
        ("if_match", String::new()),
        ("leader", "test".to_owned()),
        ("rooms", keys.rooms("a")),
        ("room", room.as_str().to_owned()),
        ("actor", "a".to_owned()),
        ("role", "member".to_owned()),
        ("access", "open|all".to_owned()),
        ("profile", "{}".to_owned()),
        ("only_create", "0".to_owned()),
        ("state", format!("1|{VERSION}|0|0|0")),
    ]);
    let empty = ["expires_ms", "done"];
    values.extend(empty.map(|name| (name, String::new())));
    values
}

/// The keys and the arguments of a script, by the names of its header; numbers are 1.
fn call(script: &Script, charged: bool) -> [Vec<String>; 2] {
    let values = if script.path.starts_with("rooms/") {
        values_in_room()
    } else {
        values()
    };
    let rate = ["bucket", "interval_us", "burst"];
    // What a message that expires has stands behind what is charged.
    let expiry = ["schedule", "expires_ms", "held"];
    let is_plain = script.name == "send_message" && !charged;
    let is_given =
        |name: &&str| (charged || !rate.contains(name)) && !(is_plain && expiry.contains(name));
    let value = |name| match (script.name, name) {
        // No reply to a message that does not exist, and no flag on a new conversation.
        ("trim_conversation" | "trim_room", "retention") => "10|".to_owned(),
        ("file_room_events", "count") => "0".to_owned(),
        ("settle_delivery", "entry") | ("trim_feed", "keep" | "oldest") => "1-0".to_owned(),
        ("file_dead_letter", "id") => "1-1-0".to_owned(),
        (_, name) => values.get(name).cloned().unwrap_or_else(|| "1".to_owned()),
    };
    let values_of = |names: Vec<&'static str>| -> Vec<String> {
        names.into_iter().filter(is_given).map(value).collect()
    };
    let keys = values_of(key_names(script));
    let mut args = values_of(names_in(script, "= ARGV["));
    let json = &*values["json"];
    let more: &[&str] = match script.name {
        "confirm_updates" => &["a,b", "1"],
        "forget_objects" => &["object"],
        "file_room_events" => &["a", MEMBER],
        "import_messages" => &["id", "digest", "", "", "1", "", json, ""],
        "read_last_messages" => &["1"],
        _ => &[],
    };
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    [keys, args]
}

/// Runs a script by redis-cli as a user of Redis, whose password is `password`.
pub fn run_as(user: &str, script: &Script, charged: bool, server: &RedisServer) -> String {
    run(
        script,
        charged,
        server,
        &["--user", user, "--pass", "password", "--no-auth-warning"],
    )
}

/// Runs a script by redis-cli on a store with one message and one user who listens.
fn run(script: &Script, charged: bool, server: &RedisServer, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.lua");
    std::fs::write(&file, script.source.as_str()).unwrap();
    let [keys, args] = call(script, charged);
    let mut cli = Command::new("redis-cli");
    cli.args(["-u", &server.url()]);
    if let Some(path) = server.url().strip_prefix("unix://") {
        cli = Command::new("redis-cli");
        cli.args(["-s", path]);
    }
    let out = cli
        .args(options)
        .arg("-e")
        .arg("--eval")
        .arg(&file)
        .args(keys);
    let out = out.arg(",").args(args).output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    String::from_utf8(said).unwrap()
}

fn filled() -> RedisServer {
    let server = RedisServer::volatile();
    fill(&server);
    server
}

/// Stores a conversation with one message, a room with one message, and opens the stream of one user.
pub fn fill(server: &RedisServer) {
    let mut redis = server.connect();
    send(&mut redis, "a", "b", "").unwrap();
    open_stream(&mut redis, "a");
    create_room(&mut redis, "x", &["a"]);
    send_in_room(&mut redis, "x", "a", ROOM_MESSAGE);
}

#[test]
fn every_script_runs_by_redis_cli_as_its_header_says() {
    for script in SCRIPTS {
        for charged in [false, true] {
            // The bucket is the only key of this script.
            let charged = charged || script.name == "charge_rate";
            let said = run(script, charged, &filled(), &[]);
            let refusals = ["IMPORT_CONFLICT", "IDEMPOTENCY_KEY_REUSED"];
            let refused = refusals.iter().any(|word| said.contains(word));
            assert!(
                refused || !said.contains("ERR") && !said.contains("rror"),
                "{}: {said}",
                script.name
            );
        }
    }
}

#[test]
fn scripts_that_only_read_write_nothing_when_uncharged() {
    let reading = SCRIPTS
        .iter()
        .filter(|script| script.retry == RetrySafety::ReadsOnly);
    for script in reading {
        let server = filled();
        let before = contents(&mut server.connect());
        run(script, false, &server, &[]);
        assert_eq!(contents(&mut server.connect()), before, "{}", script.name);
    }
}
