//! Requests according to RFC 9110: HEAD, unexpected queries and bodies, content codings.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::auth::operations::filled;
use crate::harness::http::raw_connection::{RawConnection, exchange, post};
use crate::harness::{TestApp, spawn_app};
use crate::meta::openapi::operations;

/// What an operation requires in its query.
fn required_query(operation: &Value) -> &'static str {
    match operation["operationId"].as_str().unwrap() {
        "read_events" | "open_socket" => "user=alice",
        "list_presences" | "list_unread" => "users=alice",
        _ => "",
    }
}

#[tokio::test]
async fn head_answers_what_get_answers_without_the_body() {
    let app = spawn_app();
    app.send("bob", "alice", "hi").await;
    app.open_room("general", &["alice"]).await;
    let mut paths: Vec<_> = operations()
        .into_iter()
        .filter(|(method, path, _)| method == "get" && path != "/metrics")
        .map(|(_, path, operation)| format!("{}?{}", filled(&path), required_query(&operation)))
        .collect();
    assert!(paths.len() > 10, "{paths:?}");
    paths.extend(["/", "/messenger.css", "/docs", "/docs/", "/nothing"].map(str::to_owned));
    for path in paths {
        let path = path.trim_end_matches('?');
        let head = app.request(Method::HEAD, path).await;
        let get = app.request(Method::GET, path).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "", "{path}");
        for name in [
            "content-type",
            "etag",
            "cache-control",
            "location",
            "content-length",
        ] {
            let is_stream =
                name == "content-length" && get.header("transfer-encoding") == "chunked";
            if !is_stream {
                assert_eq!(head.header(name), get.header(name), "{name} of {path}");
            }
        }
    }
    let metrics = app.request(Method::HEAD, "/metrics").await;
    assert_eq!((metrics.status, metrics.text.as_str()), (200, ""));
    assert!(app.get("/metrics").await.text.contains(r#"method="HEAD""#));
}

#[tokio::test]
async fn head_marks_nothing_as_read() {
    let app = spawn_app();
    app.send("bob", "alice", "hi").await;
    let head = app.request(Method::HEAD, "/conversations/alice/bob").await;
    assert_eq!(head.status, 200);
    assert_eq!(app.read("alice", "bob").await["unread_count"], 1);
}

#[test]
fn head_of_a_stream_ends_at_once() {
    let app = spawn_app();
    let mut connection = RawConnection::open(&app.address);
    let key = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let stream = "accept: text/event-stream\r\n";
    let cases = [
        (
            "/events?user=alice",
            stream,
            200,
            "text/event-stream; charset=utf-8",
        ),
        ("/events?user=alice&wait=30", "", 200, "application/json"),
        ("/users/alice/export", "", 200, "application/x-ndjson"),
        ("/ws?user=alice", "", 426, "application/problem+json"),
    ];
    for (path, headers, status, content_type) in cases {
        connection.write(format!(
            "HEAD {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n"
        ));
        let head = connection.head().unwrap();
        assert_eq!(
            (head.status, head.header("content-type")),
            (status, content_type),
            "{path}"
        );
    }
    connection.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(
        connection.answer().unwrap().json(200)["status"],
        "ok",
        "no body was left behind"
    );
    let mut connection = RawConnection::open(&app.address);
    connection.write(format!(
        "HEAD /ws?user=alice HTTP/1.1\r\nhost: localhost\r\n{key}\r\n"
    ));
    assert_eq!(
        connection.head().unwrap().status,
        426,
        "only a GET upgrades"
    );
}

#[tokio::test]
async fn head_of_metrics_on_their_own_address_works() {
    let app = crate::harness::spawn_app_with(&["--metrics-bind", "127.0.0.1:0"]);
    let url = format!("{}/metrics", app.metrics.clone().unwrap());
    assert_eq!(app.client.head(url).send().await.unwrap().status(), 200);
}

/// The keys in Redis with their serialized values.
fn stored(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    let mut redis = app.redis();
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    keys.sort();
    let dump = |key: String| {
        let dump = redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap();
        (key, dump)
    };
    keys.into_iter().map(dump).collect()
}

#[tokio::test]
async fn no_operation_ignores_an_unknown_query_parameter() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let before = stored(&app);
    for (method, path, operation) in operations() {
        let query = required_query(&operation);
        let path = format!("{}?{query}&surprise=1", filled(&path));
        let (kind, body) = match operation["requestBody"]["content"].as_object() {
            Some(content) => {
                let (kind, content) = content.iter().next().unwrap();
                let example = content["example"].clone();
                let first = content["examples"]["text"]["value"].clone();
                (
                    kind.as_str(),
                    if example.is_null() { first } else { example }.to_string(),
                )
            }
            None => ("", String::new()),
        };
        let headers = [("content-type", kind)];
        let headers = if kind.is_empty() { &[][..] } else { &headers };
        let answer = app
            .call_text(&method.to_uppercase(), &path, headers, body)
            .await;
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field("/query/surprise");
    }
    assert_eq!(stored(&app), before, "nothing was changed");
}

#[tokio::test]
async fn no_operation_ignores_an_unexpected_body() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    let before = stored(&app);
    let mut count = 0;
    for (method, path, operation) in operations() {
        if operation.get("requestBody").is_some() {
            continue;
        }
        count += 1;
        let path = format!("{}?{}", filled(&path), required_query(&operation));
        let json = [("content-type", "application/json")];
        let answer = app
            .call_text(&method.to_uppercase(), &path, &json, "{}".to_owned())
            .await;
        assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field("");
        let chunked = format!(
            "{} {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
            method.to_uppercase()
        );
        exchange(&app.address, chunked).problem(400, "INVALID_REQUEST");
    }
    assert!(count > 15);
    assert_eq!(stored(&app), before, "nothing was changed");
}

#[test]
fn a_body_of_no_length_is_no_body() {
    let app = spawn_app();
    let mut connection = RawConnection::open(&app.address);
    let put = "PUT /conversations/alice/bob/block HTTP/1.1\r\nhost: localhost\r\n";
    for rest in [
        "\r\n",
        "content-length: 0\r\n\r\n",
        "content-type: application/json\r\ncontent-length: 0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        connection.write([put, rest].concat());
        assert_eq!(
            connection.answer().unwrap().json(200)["blocked"],
            true,
            "{rest}"
        );
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_with_the_coding_to_use() {
    let app = spawn_app();
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    let line = json!({"from": "a", "to": "b", "body": "hi", "sent_at": "2019-01-31T12:00:00Z"});
    app.send("alice", "bob", "first").await;
    let before = stored(&app);
    let cases = [
        ("POST", "/messages", "application/json", &message),
        ("POST", "/messages/batch", "application/x-ndjson", &line),
        (
            "PUT",
            "/conversations/bob/alice/read",
            "application/json",
            &json!({"seq": 1}),
        ),
        (
            "PATCH",
            "/conversations/alice/bob/messages/1",
            "application/json",
            &json!({"body": "x"}),
        ),
    ];
    for (method, path, kind, body) in cases {
        for coding in ["gzip", "br", "zstd", "GZIP", "identity, gzip", "x"] {
            let headers = [("content-type", kind), ("content-encoding", coding)];
            let answer = app.call(method, path, &headers, Some(body)).await;
            answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
            answer.invalid_field("/header/content-encoding");
            assert_eq!(
                answer.header("accept-encoding"),
                "identity",
                "{method} {path}"
            );
        }
    }
    assert_eq!(stored(&app), before, "nothing was changed");
    let other = app
        .call(
            "POST",
            "/messages",
            &[("content-type", "text/plain")],
            Some(&message),
        )
        .await;
    other.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    assert!(
        !other.headers.contains_key("accept-encoding"),
        "not about the coding"
    );
    for coding in ["identity", "Identity", ""] {
        let sent = app
            .call(
                "POST",
                "/messages",
                &[("content-encoding", coding)],
                Some(&message),
            )
            .await;
        assert_eq!(sent.status, 201, "{coding}");
    }
    let two = "content-encoding: identity\r\ncontent-encoding: gzip\r\n";
    let text = String::from_utf8(post(message.to_string())).unwrap();
    let request = text.replacen("\r\n", &format!("\r\n{two}"), 1);
    exchange(&app.address, request).problem(415, "UNSUPPORTED_MEDIA_TYPE");
}
