//! The Redis user of `docs/operations.md`: what it may do is what the service needs.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::Device;
use crate::harness::live::event_stream::EventStream;
use crate::harness::live::resume::page;
use crate::harness::source_tree::{files, root};
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, refusal_to_start, spawn_app_on};

pub fn operations_page() -> String {
    std::fs::read_to_string(root().join("docs/operations.md")).unwrap()
}

/// The words of the `ACL SETUSER` command in `docs/operations.md`.
pub fn acl_setuser() -> Vec<String> {
    let page = operations_page();
    let command = page.split("\nACL ").nth(1).expect("an ACL command");
    let command = command.split("```").next().unwrap();
    command.split_whitespace().map(str::to_owned).collect()
}

/// Starts the service with the documented user, but for these further rules.
fn spawn_with_documented_user(redis: &RedisServer, rules: &[&str]) -> TestApp {
    let mut acl = redis::cmd("ACL");
    acl.arg(acl_setuser()).arg(rules);
    let done = acl.query::<String>(&mut redis.connect());
    assert_eq!(done.unwrap(), "OK", "{rules:?}");
    let url = format!("{}?user=duologue&pass=password", redis.url());
    spawn_as_backend(&url, &[])
}

/// A service whose requests have a service key.
pub fn spawn_as_backend(url: &str, settings: &[&str]) -> TestApp {
    // Requests with a credential are charged to a rate limit; a history limit drops messages.
    let fixed = ["--redis-url", url, "--history-limit", "3"];
    let webhooks = ["--webhook-wait", "20ms", "--webhook-networks", "127.0.0.1"];
    let all = [&fixed, &webhooks[..], settings].concat();
    let mut app = spawn_secured_app_with(&all);
    let credential = HeaderValue::from_str(&format!("Bearer {SERVICE_KEY}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, credential)]);
    let client = reqwest::Client::builder().default_headers(headers);
    app.client = client.build().unwrap();
    app
}

/// Uses every part of the service that calls Redis.
pub async fn use_everything(app: &TestApp) {
    let options = ConnectOptions::new(&app.address);
    let options = options.user("bob").bearer(SERVICE_KEY);
    let mut events = EventStream::try_open(&options).await.unwrap();
    app.send("alice", "bob", "first").await;
    assert_eq!(events.next().await["type"], "message.created");
    let message = json!({"from": "alice", "to": "bob", "body": "once"});
    for status in [201, 200] {
        assert_eq!(app.send_with_key("key", &message).await.status, status);
    }
    app.edit("alice", "bob", 1, &json!({"body": "edited"}))
        .await
        .json(200);
    app.react(Method::PUT, ["bob", "alice"], 1, "👍")
        .await
        .json(200);
    app.mark_delivered("bob", "alice", 2).await;
    app.mark_read("bob", "alice", 2).await;
    app.mark_unread("bob", "alice", 1).await;
    for body in ["third", "fourth", "fifth"] {
        app.send("alice", "bob", body).await;
    }
    app.read("bob", "alice").await;
    app.delete("alice", "bob", 5).await.json(200);
    let settings = json!({"pinned": true, "metadata": {"a": 1}});
    app.patch("bob", "alice", &settings).await.json(200);
    let typing = "/conversations/alice/bob/typing";
    assert_eq!(app.request(Method::POST, typing).await.status, 204);
    app.flag(Method::PUT, "bob", "alice", "block").await;
    let ticket = app
        .ask(Method::POST, "/tickets", &json!({"user": "bob"}))
        .await;
    let ticket = ticket.json(201)["ticket"].as_str().unwrap().to_owned();
    let imported = r#"{"from":"carol","to":"bob","body":"old","sent_at":"2019-01-31T12:00:00Z"}"#;
    let import = app.client.post(format!("{}/messages/batch", app.address));
    let import = import
        .header("content-type", "application/x-ndjson")
        .body(imported);
    assert_eq!(import.send().await.unwrap().status(), 200);
    for path in [
        "/conversations/bob",
        "/users/bob/unread",
        "/users/bob/presence",
        "/users/bob/export",
        "/conversations/bob/alice/messages/4",
        "/readyz",
        &format!("/events?ticket={ticket}"),
        "/events?user=bob&after=0-0",
    ] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    app.clear("alice", "bob").await;
    drop(events);
    app.use_subscription("archive").await;
    app.use_webhook("hook").await;
    assert_eq!(app.request(Method::DELETE, "/users/bob").await.status, 200);
}

#[tokio::test]
async fn the_service_works_with_the_documented_redis_user() {
    let redis = RedisServer::volatile();
    let app = spawn_with_documented_user(&redis, &[]);
    use_everything(&app).await;
    // Two heartbeats of the subscriptions.
    sleep(Duration::from_secs(4)).await;
    let mut connection = redis.connect();
    let denied = redis::cmd("ACL")
        .arg("LOG")
        .query::<redis::Value>(&mut connection);
    assert_eq!(denied.unwrap(), redis::Value::Array(Vec::new()));
}

#[tokio::test]
async fn the_service_works_without_permission_for_functions() {
    let refused = ["-function|load", "-fcall"];
    for rules in [&refused[..], &refused[..1], &refused[1..]] {
        let redis = RedisServer::volatile();
        let app = spawn_with_documented_user(&redis, rules);
        use_everything(&app).await;
        let mut info = redis::cmd("INFO");
        let info = info.arg("commandstats").query(&mut redis.connect());
        let stats: redis::InfoDict = info.unwrap();
        let texts: String = stats.get("cmdstat_evalsha").unwrap();
        let calls = texts.split(['=', ',']).nth(1).unwrap();
        assert!(calls.parse::<u64>().unwrap() > 20, "{rules:?}: {texts}");
    }
}

/// The commands that the service sends itself. redis-rs and deadpool send the first three.
const OUTSIDE_SCRIPTS: &[&str] = &[
    "hello",
    "ping",
    "unwatch",
    "info",
    "config|get",
    "scan",
    "function|load",
    "function|list",
    "function|delete",
    "fcall",
    "eval",
    "evalsha",
    "ssubscribe",
    "sunsubscribe",
    "spublish",
    "pubsub|shardnumsub",
];

/// The commands that the Redis user of `docs/operations.md` may use. The service does not start without them.
pub fn permitted_commands() -> BTreeSet<String> {
    let words = acl_setuser();
    let permitted = words.iter().filter_map(|word| word.strip_prefix('+'));
    permitted.map(str::to_owned).collect()
}

#[test]
fn the_documented_redis_user_may_do_nothing_else() {
    let mut needed: BTreeSet<String> = OUTSIDE_SCRIPTS.iter().map(|c| (*c).to_owned()).collect();
    for source in files("lua", "lua").into_values() {
        let calls = source.split("call('").skip(1);
        needed.extend(calls.map(|call| call.split('\'').next().unwrap().to_lowercase()));
    }
    assert_eq!(permitted_commands(), needed);
}

/// Changes the Redis user `duologue`, whose password is `password`.
pub fn set_user(redis: &RedisServer, rules: &[&str]) {
    let mut connection = redis.connect();
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("duologue").arg(rules);
    acl.exec(&mut connection).unwrap();
}

fn url_of_user(redis: &RedisServer) -> String {
    format!("{}?user=duologue&pass=password", redis.url())
}

#[tokio::test]
async fn a_missing_permission_is_named_at_start() {
    let redis = RedisServer::volatile();
    let url = url_of_user(&redis);
    let start = || refusal_to_start(&["--redis-url", &url]).to_string();
    // The default of Redis 7: no channels.
    set_user(&redis, &["on", ">password", "~*", "resetchannels", "+@all"]);
    let refused = start();
    assert!(
        refused.contains("SPUBLISH dm:, SSUBSCRIBE dm:"),
        "{refused}"
    );
    set_user(&redis, &["resetkeys", "~other:*", "allchannels"]);
    let refused = start();
    assert!(refused.contains("HSET dm:"), "{refused}");
    set_user(&redis, &["allkeys"]);
    // The first of these are sent by redis-rs itself; CONFIG and functions are optional.
    let optional = ["hello", "ping", "unwatch", "config|get", "fcall"];
    for command in permitted_commands() {
        if optional.contains(&command.as_str()) || command.starts_with("function") {
            continue;
        }
        set_user(&redis, &[&format!("-{command}")]);
        let (refused, name) = (start(), command.replace('|', " "));
        assert!(
            refused.to_lowercase().contains(&name),
            "{command}: {refused}"
        );
        set_user(&redis, &[&format!("+{command}")]);
    }
}

#[tokio::test]
async fn a_send_is_complete_although_publishing_is_refused() {
    let redis = RedisServer::volatile();
    set_user(
        &redis,
        &["on", ">password", "allkeys", "allchannels", "+@all"],
    );
    let app = spawn_app_on(&url_of_user(&redis));
    let device = Device::connect(&app, "bob").await;
    set_user(&redis, &["resetchannels"]);
    let sent = app.send("alice", "bob", "stored").await;
    assert_eq!(app.badge("bob").await, [1, 1]);
    assert_eq!(app.peek("bob", "alice").await["history"][0], sent);
    // The journal has the event, so a device that resumes receives it.
    let cursor = device.hello["cursor"].as_str().unwrap();
    let page = page(&app, "bob", cursor, 10).await;
    assert_eq!(page["events"][0]["message"], sent);
    let probe = app.get("/readyz").await;
    assert_eq!(probe.status, 503);
    assert!(probe.text.contains("PUBLISH"), "{}", probe.text);
    set_user(&redis, &["allchannels"]);
    assert_eq!(app.get("/readyz").await.status, 200);
}
