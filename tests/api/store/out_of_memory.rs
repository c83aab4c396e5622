//! A full Redis, with and without rate limits: reads are served, writes are refused.

use std::time::Duration;

use redis::cmd;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with};
use crate::harness::http::response::ApiResponse;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::redis_server::set_full;
use crate::harness::{TestApp, spawn_app, spawn_app_with, spawn_durable_app};

async fn ask(app: &TestApp, method: Method, path: &str, body: &Value) -> ApiResponse {
    let request = app.client.request(method, format!("{}{path}", app.address));
    let mut request = request.bearer_auth(SERVICE_KEY);
    if !body.is_null() {
        request = request.json(body);
    }
    ApiResponse::read(request.send().await.unwrap()).await
}

/// The operations on the conversation of alice and bob, and whether each works on a full Redis.
fn operations() -> Vec<(Method, &'static str, Value, bool)> {
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let (patch, delete) = (Method::PATCH, Method::DELETE);
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    let of = |n: u64| json!({"seq": n});
    let thumb = "/conversations/bob/alice/messages/1/reactions/%F0%9F%91%8D";
    let first = "/conversations/alice/bob/messages/1";
    vec![
        (post.clone(), "/messages", message, false),
        (patch, first, json!({"body": "x"}), false),
        (delete.clone(), first, Value::Null, false),
        (put.clone(), thumb, Value::Null, false),
        (
            put.clone(),
            "/conversations/bob/alice/block",
            Value::Null,
            false,
        ),
        (
            put.clone(),
            "/conversations/bob/alice/mute",
            Value::Null,
            false,
        ),
        (
            put.clone(),
            "/conversations/bob/alice/delivered",
            of(1),
            false,
        ),
        (get.clone(), first, Value::Null, true),
        (get.clone(), "/conversations/bob", Value::Null, true),
        (get.clone(), "/users/bob/unread", Value::Null, true),
        (
            get.clone(),
            "/conversations/bob/alice?peek=true",
            Value::Null,
            true,
        ),
        (put, "/conversations/bob/alice/read", of(1), true),
        (get, "/conversations/bob/alice", Value::Null, true),
        (post, "/conversations/bob/alice/unread", of(1), false),
        (delete, "/conversations/bob/alice", Value::Null, true),
    ]
}

#[tokio::test]
async fn a_full_redis_serves_reads_and_refuses_writes() {
    for app in [spawn_app(), spawn_secured_app_with(&[])] {
        let message = json!({"from": "alice", "to": "bob", "body": "hi"});
        for _ in 0..3 {
            let sent = ask(&app, Method::POST, "/messages", &message).await;
            assert_eq!(sent.status, 201, "{sent:?}");
        }
        set_full(&mut app.redis(), true);
        for (method, path, body, works) in operations() {
            let answer = ask(&app, method.clone(), path, &body).await;
            if works {
                assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
            } else {
                assert_eq!(answer.status, 507, "{method} {path}: {answer:?}");
                answer.problem(507, "STORAGE_FULL");
            }
        }
        let badge = ask(&app, Method::GET, "/users/bob/unread", &Value::Null).await;
        assert_eq!(badge.json(200)["total_unread_count"], 0);
        let inbox = ask(&app, Method::GET, "/conversations/bob", &Value::Null).await;
        assert_eq!(inbox.json(200)["conversations"], json!([]), "cleared");
    }
}

/// A fault in addition to a full Redis.
type Fault = fn(&mut DirectConnection);

fn flush_scripts(redis: &mut DirectConnection) {
    for kind in ["FUNCTION", "SCRIPT"] {
        cmd(kind).arg("FLUSH").exec(redis).unwrap();
    }
}

#[tokio::test]
async fn a_full_redis_refuses_messages_but_reads_and_resets() {
    let app = spawn_app();
    let mut redis = app.redis();
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    let faults: [(&str, Fault); 3] = [
        ("no other fault", |_| ()),
        ("scripts flushed", flush_scripts),
        ("scripts flushed and connections cut", |redis| {
            flush_scripts(redis);
            cmd("CLIENT")
                .arg("KILL")
                .arg("TYPE")
                .arg("normal")
                .exec(redis)
                .unwrap();
        }),
    ];
    for (reason, fault) in faults {
        app.send("alice", "bob", "hi").await;
        let before = app.peek("bob", "alice").await;
        set_full(&mut redis, true);
        fault(&mut redis);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let refused = app.post(&message).await;
        assert_eq!(refused.status, 507, "{reason}: {refused:?}");
        refused.problem(507, "STORAGE_FULL");
        assert_eq!(app.peek("bob", "alice").await, before, "{reason}");
        let read = app.read("bob", "alice").await;
        assert_eq!(read["unread_count"], 1, "{reason}");
        assert_eq!(
            app.read("bob", "alice").await["unread_count"],
            0,
            "{reason}"
        );
        assert_eq!(
            app.read("alice", "bob").await["peer_read_seq"],
            read["last_seq"]
        );
        assert_eq!(app.get("/readyz").await.status, 200, "{reason}");
        set_full(&mut redis, false);
    }
    app.send("alice", "bob", "hi").await;
}

fn maxmemory(app: &TestApp) -> u64 {
    let mut get = cmd("CONFIG");
    get.arg("GET").arg("maxmemory");
    let (_, bytes) = get.query::<(String, u64)>(&mut app.redis()).unwrap();
    bytes
}

#[tokio::test]
async fn the_private_redis_has_a_limit_by_default() {
    let limited = maxmemory(&spawn_durable_app());
    assert!(limited > 64 << 20, "{limited}");
    let unlimited = spawn_app_with(&["--fsync", "everysec", "--maxmemory", "0"]);
    assert_eq!(maxmemory(&unlimited), 0);
}

#[tokio::test]
async fn a_full_private_redis_refuses_messages_with_507_but_reads() {
    let app = spawn_app_with(&["--fsync", "everysec", "--maxmemory", "8MiB"]);
    assert_eq!(maxmemory(&app), 8 << 20);
    let message = json!({"from": "alice", "to": "bob", "body": "語".repeat(10_000)});
    let mut sent = 0;
    let refused = loop {
        let answer = app.post(&message).await;
        if answer.status != 201 {
            break answer;
        }
        sent += 1;
        assert!(sent < 1_000, "507 after at most 1,000 messages");
    };
    refused.problem(507, "STORAGE_FULL");
    let page = app.page("bob", "alice", "limit=1").await;
    assert_eq!(
        (&page["last_seq"], &page["unread_count"]),
        (&json!(sent), &json!(sent))
    );
}
