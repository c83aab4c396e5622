//! Every script with each of its commands refused in turn by the ACL of Redis.

use std::collections::BTreeSet;

use duologue::store::{SCRIPTS, Script};
use redis::cmd;

use crate::harness::store::lua::script;
use crate::harness::store::redis_server::RedisServer;
use crate::store::permissions::{permitted_commands, set_user};
use crate::store::redis_cli::{fill, run_as};

/// The commands that a script may call, in lower case.
fn commands(script: &Script) -> BTreeSet<String> {
    let calls = script.source.split("call('").skip(1);
    let names = calls.map(|call| call.split('\'').next().unwrap().to_lowercase());
    names.collect()
}

/// The scripts of which Redis refused a call of a command.
fn refused_scripts(redis: &RedisServer, command: &str) -> BTreeSet<&'static str> {
    set_user(redis, &[&format!("-{command}")]);
    let mut refused = BTreeSet::new();
    for script in SCRIPTS {
        cmd("FLUSHALL").exec(&mut redis.connect()).unwrap();
        fill(redis);
        let said = run_as("duologue", script, true, redis);
        // Redis 7.0 says the first, Redis 7.2 and Valkey the second.
        let refusals = ["can't run this command", "ACL failure in script"];
        if refusals.iter().any(|refusal| said.contains(refusal)) {
            refused.insert(script.name);
        }
    }
    set_user(redis, &[&format!("+{command}")]);
    refused
}

#[test]
fn a_refused_command_is_an_error_and_checked_at_start() {
    let redis = RedisServer::volatile();
    let everything = ["on", ">password", "allkeys", "allchannels", "+@all"];
    set_user(&redis, &everything);
    let checked = permitted_commands();
    let all: BTreeSet<_> = SCRIPTS.iter().flat_map(|script| commands(script)).collect();
    let mut unrefused = BTreeSet::new();
    for command in &all {
        let refused = refused_scripts(&redis, command);
        if refused.is_empty() {
            unrefused.insert(command.as_str());
        }
        assert!(checked.contains(command), "{command}: {refused:?}");
        for name in refused {
            let script = script(name);
            assert!(commands(script).contains(command), "{name}: {command}");
        }
    }
    // A conversation of one message and a room, on one Redis and without subscriptions, do not reach these.
    let unreached = BTreeSet::from([
        "info",
        "rpush",
        "xack",
        "xclaim",
        "xinfo",
        "xlen",
        "xreadgroup",
    ]);
    assert_eq!(unrefused, unreached);
}
