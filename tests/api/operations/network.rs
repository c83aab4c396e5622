//! CORS, endpoints that can be disabled, and limits on slow or large requests.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::auth::secured_app::{
    SERVICE_KEY, spawn_secured_app, spawn_secured_app_with, token,
};
use crate::harness::http::raw_connection::RawConnection;
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app, spawn_app_with};

const ORIGIN: &str = "https://app.example.com";
const PATH: &str = "/conversations/alice/bob";

async fn preflight(app: &TestApp, origin: &str) -> ApiResponse {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,cache-control,content-type",
        ),
    ];
    app.call("OPTIONS", "/messages", &headers, None).await
}

#[tokio::test]
async fn pages_of_an_allowed_origin_may_call() {
    let app = spawn_secured_app_with(&["--cors-origins", &format!("https://b.example, {ORIGIN}")]);
    let answer = preflight(&app, ORIGIN).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    let allowed = answer.header("access-control-allow-headers").to_lowercase();
    for header in ["authorization", "cache-control", "content-type"] {
        assert!(allowed.contains(header), "{allowed}");
    }
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        "",
        "no cookies"
    );
}

#[tokio::test]
async fn apps_in_a_web_view_and_subdomains_may_call() {
    let origins = "capacitor://localhost,ionic://localhost,tauri://,https://*.example.com";
    let app = spawn_secured_app_with(&["--cors-origins", origins]);
    let bearer = format!("Bearer {}", token("alice"));
    let socket = "/ws?user=alice".to_owned();
    let allowed = [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "https://app.example.com",
        "https://eu.app.example.com",
    ];
    for origin in allowed {
        let headers = [("origin", origin), ("authorization", &*bearer)];
        for answer in [
            preflight(&app, origin).await,
            app.call("GET", PATH, &headers, None).await,
        ] {
            assert_eq!(answer.status, 200, "{origin}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert!(answer.header("vary").to_lowercase().contains("origin"));
        }
        let answer = app.call("GET", &socket, &headers, None).await;
        answer.problem(426, "UPGRADE_REQUIRED");
    }
    let refused = [
        "capacitor://other",
        "ionic://localhost:1",
        "https://example.com",
        "https://evilexample.com",
        "http://app.example.com",
        "https://app.example.com.evil.example",
    ];
    for origin in refused {
        let headers = [("origin", origin), ("authorization", &*bearer)];
        let answer = app.call("GET", PATH, &headers, None).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        let answer = app.call("GET", &socket, &headers, None).await;
        answer.problem(403, "FORBIDDEN");
    }
}

#[tokio::test]
async fn cors_headers_are_on_successes_and_on_every_error() {
    let app = spawn_secured_app_with(&["--cors-origins", ORIGIN, "--request-rate", "1:1"]);
    let asked = async |credential: &str| {
        let bearer = format!("Bearer {credential}");
        let headers = [("origin", ORIGIN), ("authorization", &bearer)];
        app.call("GET", PATH, &headers, None).await
    };
    let mut answers = vec![
        asked(&token("alice")).await,
        asked(&token("alice")).await,
        asked(&token("mallory")).await,
    ];
    for _ in 0..40 {
        answers.push(asked("nonsense").await);
    }
    let statuses: Vec<_> = answers.iter().map(|a| a.status).collect();
    assert_eq!(statuses[..4], [200, 429, 403, 401]);
    assert_eq!(statuses.last(), Some(&429));
    for answer in answers {
        assert_eq!(
            answer.header("access-control-allow-origin"),
            ORIGIN,
            "{answer:?}"
        );
        let exposed = answer
            .header("access-control-expose-headers")
            .to_lowercase();
        for header in [
            "retry-after",
            "x-request-id",
            "ratelimit",
            "www-authenticate",
        ] {
            assert!(exposed.contains(header), "{header}: {exposed}");
        }
    }
}

#[tokio::test]
async fn pages_of_other_origins_get_no_cors_headers() {
    let none = spawn_secured_app();
    let one = spawn_secured_app_with(&["--cors-origins", ORIGIN]);
    let others = [
        "https://evil.example",
        "http://app.example.com",
        "null",
        "https://app.example.com.evil.example",
    ];
    for origin in others.into_iter().chain([ORIGIN]) {
        let bearer = format!("Bearer {}", token("alice"));
        let headers = [("origin", origin), ("authorization", &bearer)];
        for app in [&none, &one]
            .into_iter()
            .filter(|app| origin != ORIGIN || app.address == none.address)
        {
            for answer in [
                preflight(app, origin).await,
                app.call("GET", PATH, &headers, None).await,
            ] {
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    "",
                    "{origin}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn metrics_on_their_own_address_need_no_key() {
    let app = spawn_secured_app_with(&["--metrics-bind", "127.0.0.1:0"]);
    for method in [Method::GET, Method::POST] {
        app.request(method, "/metrics")
            .await
            .problem(404, "NOT_FOUND");
    }
    app.get_as(SERVICE_KEY, "/metrics")
        .await
        .problem(404, "NOT_FOUND");
    let there = app.metrics.clone().unwrap();
    let metrics = app
        .client
        .get(format!("{there}/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = ApiResponse::read(metrics).await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .text
            .contains("duologue_errors_total{code=\"NOT_FOUND\"} 3")
    );
    for path in ["/healthz", "/docs", PATH] {
        let other = app
            .client
            .get(format!("{there}{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(other.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn docs_can_be_switched_off() {
    let (on, off) = (spawn_app(), spawn_app_with(&["--docs", "false"]));
    for path in [
        "/docs/",
        "/docs",
        "/docs/swagger-ui.css",
        "/openapi.yaml",
        "/openapi.json",
        "/asyncapi.yaml",
    ] {
        assert_eq!(on.get(path).await.status, 200, "{path}");
        off.get(path).await.problem(404, "NOT_FOUND");
    }
    off.send("alice", "bob", "still there").await;
}

#[test]
fn slow_headers_time_out() {
    let app = spawn_secured_app();
    let begun = Instant::now();
    let (mut silent, mut slow) = (
        RawConnection::open(&app.address),
        RawConnection::open(&app.address),
    );
    let mut drops = format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nx-long: ").into_bytes();
    drops.resize(500, b'x');
    for drop in drops {
        if begun.elapsed() > Duration::from_millis(5500) || !slow.write([drop]) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for connection in [&mut slow, &mut silent] {
        let answer = connection.answer();
        assert!(answer.is_none_or(|answer| answer.status == 408));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn headers_too_large_or_too_many_are_refused() {
    let app = spawn_secured_app();
    let head = format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\n");
    let long = format!(
        "{head}authorization: Bearer {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let many = format!("{head}{}\r\n", "x: y\r\n".repeat(200));
    for request in [long, many] {
        let mut connection = RawConnection::open(&app.address);
        connection.write(request);
        let answer = connection.answer();
        assert!(answer.is_none_or(|a| [400, 431].contains(&a.status)));
    }
    let body = json!({"from": "alice", "to": "bob", "body": "still there"});
    assert_eq!(app.post_as(SERVICE_KEY, &body).await.status, 201);
}
