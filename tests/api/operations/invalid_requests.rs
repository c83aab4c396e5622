//! Invalid requests: each gets a problem document, and nothing is stored.

use reqwest::Method;
use serde_json::json;

use crate::harness::http::raw_connection::{RawConnection, exchange, post};
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app};

/// Checks that the service has stored nothing and still works.
pub async fn assert_unharmed(app: &TestApp) {
    let size = app.contents().len();
    assert_eq!(size, 1, "the number of partitions and nothing else");
    app.send("alice", "bob", "still there?").await;
    let errors = app.get("/metrics").await.text;
    assert!(!errors.contains(r#"status="5"#), "{errors}");
}

#[tokio::test]
async fn a_body_of_another_type_is_a_problem() {
    let app = spawn_app();
    let text = json!({"from": "alice", "to": "bob", "body": "hi"}).to_string();
    let url = format!("{}/messages", app.address);
    let types = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some("application/problem+json"),
        Some("json"),
        Some("multipart/form-data; boundary=x"),
    ];
    for kind in types {
        let mut request = app.client.post(&url).body(text.clone());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = ApiResponse::read(request.send().await.unwrap()).await;
        answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
        answer.invalid_field("/header/content-type");
    }
    assert_unharmed(&app).await;
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let request = app
            .client
            .post(&url)
            .body(text.clone())
            .header("content-type", kind);
        assert_eq!(request.send().await.unwrap().status(), 201, "{kind}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_lists_allowed_methods() {
    let app = spawn_app();
    let brew = Method::from_bytes(b"BREW").unwrap();
    let cases = [
        (
            "/messages",
            "POST",
            vec![
                Method::GET,
                Method::PUT,
                Method::DELETE,
                Method::PATCH,
                brew.clone(),
            ],
        ),
        (
            "/conversations/a/b",
            "GET, HEAD, PATCH, DELETE",
            vec![Method::POST, Method::PUT, Method::OPTIONS],
        ),
        (
            "/conversations/a/b/messages/1",
            "GET, HEAD, PATCH, DELETE",
            vec![Method::POST, Method::PUT],
        ),
        (
            "/conversations/a/b/messages/1/reactions/%F0%9F%91%8D",
            "PUT, DELETE",
            vec![Method::GET, Method::PATCH],
        ),
        (
            "/conversations/a/b/block",
            "PUT, DELETE",
            vec![Method::GET, Method::POST],
        ),
        (
            "/conversations/a/b/mute",
            "PUT, DELETE",
            vec![Method::GET, Method::POST],
        ),
        ("/conversations/a/b/unread", "POST", vec![Method::PUT]),
        ("/conversations/a/b/read", "PUT", vec![Method::POST]),
        ("/conversations/a/b/delivered", "PUT", vec![Method::GET]),
        ("/conversations/a", "GET, HEAD", vec![Method::PUT]),
        ("/users/a/unread", "GET, HEAD", vec![Method::DELETE]),
        ("/healthz", "GET, HEAD", vec![Method::POST]),
        ("/readyz", "GET, HEAD", vec![Method::POST]),
        ("/metrics", "GET, HEAD", vec![Method::PUT]),
        ("/openapi.yaml", "GET, HEAD", vec![Method::POST]),
        ("/openapi.json", "GET, HEAD", vec![brew]),
        ("/docs/", "GET, HEAD", vec![Method::POST]),
        ("/docs", "GET, HEAD", vec![Method::DELETE]),
    ];
    for (path, allowed, methods) in cases {
        for method in methods {
            let answer = app.request(method.clone(), path).await;
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            answer.problem(405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        }
    }
    assert_unharmed(&app).await;
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let app = spawn_app();
    let paths = [
        "/message",
        "/messages/",
        "/messages/1",
        "/conversations",
        "/conversations/alice/",
        "/conversations/alice/bob/",
        "/conversations/alice/bob/carol",
        "/conversations/alice/bob/messages",
        "/conversations/alice/bob/messages/1/reactions",
        "/conversations//bob",
        "/users",
        "/CONVERSATIONS/alice/bob",
        "/docs/nothing.html",
        "//messages",
    ];
    for path in paths {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        answer.problem(404, "NOT_FOUND");
    }
    assert_unharmed(&app).await;
}

#[tokio::test]
async fn a_path_with_invalid_ids_is_a_problem() {
    let app = spawn_app();
    let long = format!("/conversations/alice/{}", "x".repeat(256));
    let cases = [
        ("oneself", "/conversations/alice/alice", "/path/peer"),
        (
            "oneself, percent-encoded",
            "/conversations/alice/%61lice",
            "/path/peer",
        ),
        ("an id too long", &long, "/path/peer"),
        ("a comma", "/conversations/al,ice/bob", "/path/user"),
        ("a dot", "/conversations/%2E/bob", "/path/user"),
        ("two dots", "/conversations/alice/%2e%2E", "/path/peer"),
        (
            "a room as the user",
            "/conversations/room:1/alice",
            "/path/user",
        ),
        (
            "a room without an id",
            "/conversations/alice/room:",
            "/path/peer",
        ),
        (
            "a room of an invalid id",
            "/conversations/alice/%72oom%3Aa%20b",
            "/path/peer",
        ),
        (
            "an encoded comma",
            "/conversations/al%2Cice/bob",
            "/path/user",
        ),
        (
            "an encoded slash",
            "/conversations/alice/b%2Fob",
            "/path/peer",
        ),
        (
            "an encoded per cent",
            "/conversations/alice/b%2561b",
            "/path/peer",
        ),
        (
            "an encoded NUL",
            "/conversations/alice/bob%00",
            "/path/peer",
        ),
        (
            "an encoded line break",
            "/conversations/alice/bob%0D%0A",
            "/path/peer",
        ),
        ("invalid UTF-8", "/conversations/alice/%FF%FE", "/path/peer"),
        (
            "letters beyond ASCII",
            "/conversations/alice/b%C3%B3b",
            "/path/peer",
        ),
        ("half an escape", "/conversations/alice/bob%4", "/path/peer"),
        ("a blank", "/conversations/%20/bob", "/path/user"),
        ("an inbox of nobody", "/conversations/al,ice", "/path/user"),
        ("a badge of nobody", "/users/al,ice/unread", "/path/user"),
        (
            "a seq in words",
            "/conversations/alice/bob/messages/last",
            "/path/seq",
        ),
        (
            "a seq above the maximum",
            "/conversations/alice/bob/messages/9007199254740992",
            "/path/seq",
        ),
        (
            "a negative seq",
            "/conversations/alice/bob/messages/-1",
            "/path/seq",
        ),
    ];
    for (reason, path, pointer) in cases {
        // Sent as raw bytes, because an HTTP client normalizes such paths.
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = exchange(&app.address, request);
        assert_eq!(answer.status, 400, "{reason}: {answer:?}");
        answer.problem(400, "INVALID_REQUEST");
        answer.invalid_field(pointer);
    }
    assert_unharmed(&app).await;
}

#[tokio::test]
async fn a_percent_encoded_letter_equals_the_letter() {
    let app = spawn_app();
    app.send("alice", "bob@example", "hi").await;
    let request = "GET /conversations/bob%40example/%61lice HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(exchange(&app.address, request).json(200)["unread_count"], 1);
}

#[tokio::test]
async fn a_refused_request_leaves_the_connection_usable() {
    let app = spawn_app();
    let mut connection = RawConnection::open(&app.address);
    let good = post(r#"{"from":"alice","to":"bob","body":"x"}"#);
    connection.write(post("{}"));
    connection.answer().unwrap().problem(400, "INVALID_REQUEST");
    connection.write("GET /messages HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection
        .answer()
        .unwrap()
        .problem(405, "METHOD_NOT_ALLOWED");
    connection.write(good);
    assert_eq!(connection.answer().unwrap().status, 201);
}

#[tokio::test]
async fn input_that_is_not_http_closes_the_connection() {
    let app = spawn_app();
    let large = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\na: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let cases = [
        (
            "headers sent slowly",
            408,
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-",
        ),
        ("another protocol", 400, "EHLO example.com\r\n\r\n"),
        (
            "an invalid length",
            400,
            "POST /messages HTTP/1.1\r\ncontent-length: abc\r\n\r\nx",
        ),
        ("headers too large", 431, &large),
    ];
    for (reason, status, request) in cases {
        // Refused before routing, where there is no request yet: a status without a problem
        // document.
        let answer = exchange(&app.address, request);
        assert_eq!(answer.status, status, "{reason}");
        assert_eq!(answer.header("connection"), "close", "{reason}");
    }
    assert_unharmed(&app).await;
}
