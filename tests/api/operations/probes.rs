//! Probes, metrics, request ids, and the served OpenAPI document.

use reqwest::Method;

use crate::harness::http::response::ApiResponse;
use crate::harness::metrics::metric;
use crate::harness::{TestApp, spawn_app, spawn_durable_app};

async fn with_request_id(app: &TestApp, id: &str) -> ApiResponse {
    let request = app
        .client
        .get(format!("{}/healthz", app.address))
        .header("x-request-id", id);
    ApiResponse::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn healthz_reports_that_the_process_is_running() {
    let app = spawn_app();
    assert_eq!(app.get("/healthz").await.json(200)["status"], "ok");
}

#[tokio::test]
async fn readyz_shows_version_role_and_durability() {
    let app = spawn_durable_app();
    let ready = app.get("/readyz").await.json(200)["redis"][0].clone();
    assert_eq!(ready["role"], "master");
    assert_eq!(ready["appendonly"], true);
    assert_eq!(ready["appendfsync"], "always");
    assert_eq!(ready["maxmemory_policy"], "noeviction");
    assert_eq!(ready["warnings"].as_array().unwrap().len(), 0);
    assert!(ready["version"].as_str().unwrap().contains('.'));
}

#[tokio::test]
async fn readyz_warns_of_weaker_durability() {
    let app = spawn_app();
    for (setting, value) in [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")] {
        let mut config = redis::cmd("CONFIG");
        config.arg("SET").arg(setting).arg(value);
        config.exec(&mut app.redis()).unwrap();
        let ready = app.get("/readyz").await.json(200)["redis"][0].clone();
        assert!(ready["warnings"].to_string().contains(setting), "{ready}");
    }
}

#[tokio::test]
async fn metrics_count_requests_and_messages() {
    let app = spawn_app();
    let sent = "duologue_messages_sent_total";
    let requests = r#"duologue_http_requests_total{method="POST",route="/messages",status="201"}"#;
    let refused = r#"duologue_http_requests_total{method="POST",route="/messages",status="400"}"#;
    let read = r#"duologue_http_requests_total{method="GET",route="/conversations/{user}/{peer}",status="200"}"#;
    let errors = r#"duologue_errors_total{code="MALFORMED_JSON"}"#;
    let script = r#"duologue_script_duration_seconds_count{script="send_message"}"#;
    let latency = r#"duologue_http_request_duration_seconds_count{route="/messages"}"#;
    let all = [sent, requests, refused, read, errors, script, latency];
    for series in all {
        assert!(metric(&app, series).await.abs() < 0.1, "{series}");
    }
    app.send("alice", "bob", "one").await;
    app.send("alice", "bob", "two").await;
    app.read("bob", "alice").await;
    app.post_text("{").await;
    for (series, expected) in all.into_iter().zip([2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 3.0]) {
        let value = metric(&app, series).await;
        assert!((value - expected).abs() < 0.1, "{series} {value}");
    }
    let text = app.get("/metrics").await;
    assert!(
        text.header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(text.text.contains("duologue_build_info{version="));
    assert!(metric(&app, "duologue_http_connections").await >= 1.0);
}

#[tokio::test]
async fn client_input_creates_no_new_metric_series() {
    let app = spawn_app();
    let series = async || app.get("/metrics").await.text.lines().count();
    let brew = |n: usize| Method::from_bytes(format!("BREW{n}").as_bytes()).unwrap();
    let make_up = async |n: usize| {
        app.get(&format!("/nowhere/{n}")).await;
        app.request(brew(n), "/messages").await;
        app.request(brew(n), &format!("/made/up/{n}")).await;
        app.get(&format!("/conversations/user-{n}/peer-{n}")).await;
        app.get(&format!("/docs/{n}")).await;
        app.post_text(format!("{{\"{n}\":1}}")).await;
    };
    make_up(0).await;
    series().await;
    let before = series().await;
    for n in 1..30 {
        make_up(n).await;
    }
    assert_eq!(series().await, before);
}

#[tokio::test]
async fn a_request_keeps_its_request_id_or_gets_one() {
    let app = spawn_app();
    let longest = "x".repeat(128);
    for id in ["req-42", "a", "01/AB_cd.ef:gh", &longest] {
        assert_eq!(with_request_id(&app, id).await.header("x-request-id"), id);
    }
    let too_long = "x".repeat(129);
    for id in ["", "two words", &too_long] {
        let given = with_request_id(&app, id).await;
        let given: uuid::Uuid = given.header("x-request-id").parse().unwrap();
        assert_eq!(given.get_version_num(), 7);
    }
    let (one, other) = (app.get("/healthz").await, app.get("/healthz").await);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn a_problem_carries_the_request_id_of_its_request() {
    let app = spawn_app();
    let request = app
        .client
        .get(format!("{}/nowhere", app.address))
        .header("x-request-id", "req-42");
    let answer = ApiResponse::read(request.send().await.unwrap()).await;
    assert_eq!(answer.problem(404, "NOT_FOUND")["request_id"], "req-42");
}

#[tokio::test]
async fn swagger_ui_is_served_from_the_binary() {
    let app = spawn_app();
    let page = app.get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        !page.text.contains("//unpkg") && !page.text.contains("https://cdn"),
        "needs no network"
    );
    for file in page.text.split(['"', '\'']).filter(|t| t.starts_with("./")) {
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        assert_eq!(app.get(&path).await.status, 200, "{path}");
    }
    let setup = app.get("/docs/swagger-initializer.js").await;
    assert!(setup.text.contains("/openapi.json"), "{}", setup.text);
}

#[tokio::test]
async fn the_contract_is_served_as_yaml_and_json() {
    let app = spawn_app();
    for (path, text) in [
        ("/openapi.yaml", duologue::http::openapi_yaml()),
        ("/asyncapi.yaml", duologue::http::asyncapi_yaml()),
    ] {
        let yaml = app.get(path).await;
        assert_eq!(
            (yaml.status, yaml.header("content-type")),
            (200, "application/yaml")
        );
        assert_eq!(yaml.text, text);
    }
    let json = app.get("/openapi.json").await.json(200);
    assert_eq!(
        json,
        serde_json::to_value(duologue::http::openapi()).unwrap()
    );
}
