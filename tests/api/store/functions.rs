//! The library of functions that the scripts are loaded as.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on};

/// The names of the libraries that a Redis has.
fn libraries(redis: &mut impl redis::ConnectionLike) -> Vec<String> {
    let found: Vec<BTreeMap<String, Value>> = cmd("FUNCTION").arg("LIST").query(redis).unwrap();
    let name = |library: &BTreeMap<String, Value>| library["library_name"].clone();
    let names = found
        .iter()
        .map(|library| redis::from_redis_value(name(library)));
    names.collect::<Result<_, _>>().unwrap()
}

fn load(redis: &mut redis::Connection, name: &str) {
    let library = format!(
        "#!lua name={name}\nredis.register_function('{name}', function() return 'theirs' end)"
    );
    cmd("FUNCTION")
        .arg("LOAD")
        .arg(library)
        .exec(redis)
        .unwrap();
}

async fn use_flushed(app: &TestApp, flush: impl Fn()) {
    for n in 1..=20 {
        flush();
        assert_eq!(app.send("alice", "bob", "hi").await["seq"], n);
        flush();
        assert_eq!(app.read("bob", "alice").await["unread_count"], 1);
        flush();
        assert_eq!(app.get("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn functions_flushed_by_redis_are_loaded_again() {
    let app = spawn_app();
    use_flushed(&app, || {
        cmd("FUNCTION").arg("FLUSH").exec(&mut app.redis()).unwrap();
    })
    .await;
    app.send("alice", "bob", "hi").await;
    let loaded = libraries(&mut app.redis());
    assert!(loaded[0].starts_with("duologue_"), "{loaded:?}");
}

#[tokio::test]
async fn flushed_texts_cause_no_error_without_functions() {
    let redis = RedisServer::volatile();
    let mut acl = cmd("ACL");
    acl.arg("SETUSER").arg("default").arg("-fcall");
    acl.exec(&mut redis.connect()).unwrap();
    let app = spawn_app_on(&redis.url());
    use_flushed(&app, || {
        cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut redis.connect())
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_start_deletes_functions_of_other_versions() {
    let redis = RedisServer::volatile();
    let mut connection = redis.connect();
    for name in ["duologue_0123456789abcdef", "others"] {
        load(&mut connection, name);
    }
    let first = spawn_app_on(&redis.url());
    first.send("alice", "bob", "hi").await;
    let loaded = libraries(&mut connection);
    assert_eq!(loaded.len(), 2, "{loaded:?}");
    assert!(loaded.contains(&"others".to_owned()), "{loaded:?}");
    let old = "duologue_0123456789abcdef".to_owned();
    assert!(!loaded.contains(&old), "{loaded:?}");
    // Another process of this version keeps the library.
    let _second = spawn_app_on(&redis.url());
    assert_eq!(libraries(&mut connection).len(), loaded.len());
}
