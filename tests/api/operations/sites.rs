//! Pages of other sites: host names, origins, and the headers of the pages that are served.

use serde_json::json;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with};
use crate::harness::http::raw_connection::exchange;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::{TestApp, spawn_app, spawn_app_with};

const ALLOWED: &str = "https://app.example.com";

/// Headers of a request that a browser makes for a page.
type Browser<'a> = &'a [(&'a str, &'a str)];

/// Requests of a page of another site.
const FOREIGN: &[Browser] = &[
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "cross-site"), ("origin", "null")],
    &[
        ("sec-fetch-site", "same-site"),
        ("origin", "http://localhost:3000"),
    ],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "http://127.0.0.1:1")],
    &[("origin", "http://127.0.0.1.evil.example")],
];

/// Number of unread messages of bob.
async fn unread(app: &TestApp, headers: &[(&str, &str)]) -> u64 {
    let totals = app.call("GET", "/users/bob/unread", headers, None).await;
    totals.json(200)["total_unread_count"].as_u64().unwrap()
}

#[tokio::test]
async fn a_service_without_credentials_answers_to_own_hosts() {
    let app = spawn_app_with(&["--hosts", "chat.example.com, Other.example"]);
    let port = app.address.rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "localhost",
        "LocalHost:9000",
        "localhost.",
        "app.localhost:80",
        "127.0.0.1",
        "127.8.8.8:1",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
        "chat.example.com",
        "OTHER.example:443",
    ] {
        let answer = app.call("GET", "/healthz", &[("host", host)], None).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let message = json!({"from": "alice", "to": "bob", "body": "x"});
    for host in [
        format!("evil.example:{port}"),
        "localhost.evil.example".to_owned(),
        "127.0.0.1.evil.example".to_owned(),
        "evillocalhost".to_owned(),
        "192.168.0.1".to_owned(),
        "0.0.0.0".to_owned(),
        "[fe80::1]".to_owned(),
        "a.chat.example.com".to_owned(),
    ] {
        for path in ["/", "/docs/", "/healthz", "/users/bob/unread", "/nowhere"] {
            let answer = app.call("GET", path, &[("host", &host)], None).await;
            answer.problem(421, "MISDIRECTED_REQUEST");
            answer.invalid_field("/header/host");
        }
        let headers = [("host", &*host)];
        let sent = app.call("POST", "/messages", &headers, Some(&message));
        sent.await.problem(421, "MISDIRECTED_REQUEST");
        let socket = ConnectOptions::new(&app.address).user("bob");
        let socket = socket.header("host", &host).expect_refusal().await;
        socket.problem(421, "MISDIRECTED_REQUEST");
    }
    let absolute = "GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    exchange(&app.address, absolute).problem(421, "MISDIRECTED_REQUEST");
    assert_eq!(
        exchange(&app.address, "GET /healthz HTTP/1.0\r\n\r\n").status,
        200
    );
    assert_eq!(unread(&app, &[]).await, 0, "nothing was sent");
}

#[tokio::test]
async fn a_service_with_credentials_answers_to_any_host() {
    let app = spawn_secured_app_with(&[]);
    let headers = [("host", "chat.example.com")];
    assert_eq!(
        app.call("GET", "/healthz", &headers, None).await.status,
        200
    );
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let bearer = format!("Bearer {SERVICE_KEY}");
    let message = json!({"from": "alice", "to": "bob", "body": "x"});
    let open = spawn_app_with(&["--cors-origins", ALLOWED]);
    let secured = spawn_secured_app_with(&["--cors-origins", ALLOWED]);
    for (app, credential) in [(open, vec![]), (secured, vec![("authorization", &*bearer)])] {
        let sent = app
            .call("POST", "/messages", &credential, Some(&message))
            .await;
        assert_eq!(sent.status, 201);
        for foreign in FOREIGN {
            let headers = [&credential, *foreign].concat();
            for (method, path) in [
                ("POST", "/messages"),
                ("PUT", "/conversations/bob/alice/block"),
                ("DELETE", "/users/bob"),
                ("PATCH", "/conversations/alice/bob/messages/1"),
                ("GET", "/conversations/bob/alice"),
                ("GET", "/events?user=bob&wait=30"),
                ("GET", "/ws?user=bob"),
            ] {
                let answer = app.call(method, path, &headers, None).await;
                answer.problem(403, "FORBIDDEN");
                let header = foreign.last().unwrap().0;
                answer.invalid_field(&format!("/header/{header}"));
            }
            let page = app.call("GET", "/", &headers, None).await;
            assert_eq!(page.status, 200, "a link leads to the page");
            assert_eq!(unread(&app, &headers).await, 1, "{foreign:?}");
        }
    }
}

#[tokio::test]
async fn a_page_of_the_same_site_or_an_allowed_one_may_call() {
    let app = spawn_app_with(&["--cors-origins", ALLOWED]);
    let message = json!({"from": "alice", "to": "bob", "body": "x"});
    let own = app.address.clone();
    let slash = format!("{own}/");
    let pages: &[Browser] = &[
        &[],
        &[("sec-fetch-site", "none")],
        &[("origin", &own)],
        &[("origin", &slash)],
        &[("host", "localhost"), ("origin", "http://localhost:80")],
        &[("host", "localhost:80"), ("origin", "http://localhost")],
        &[("host", "localhost:443"), ("origin", "https://localhost/")],
        // Behind a proxy that replaces `Host`.
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://chat.example.com"),
        ],
        &[("sec-fetch-site", "cross-site"), ("origin", ALLOWED)],
        &[
            ("sec-fetch-site", "same-site"),
            ("origin", "https://app.example.com:443/"),
        ],
    ];
    for page in pages {
        let sent = app.call("POST", "/messages", page, Some(&message)).await;
        assert_eq!(sent.status, 201, "{page:?}");
        let read = app
            .call("GET", "/conversations/bob/alice", page, None)
            .await;
        assert_eq!(read.json(200)["unread_count"], 1, "{page:?}");
    }
    let other_port = [("host", "localhost:80"), ("origin", "https://localhost")];
    let refused = app
        .call("POST", "/messages", &other_port, Some(&message))
        .await;
    refused.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn swagger_ui_is_served_with_a_security_policy() {
    let app = spawn_app();
    for path in [
        "/docs/",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
    ] {
        let file = app.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        let policy = file.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; "),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(file.header("referrer-policy"), "no-referrer");
    }
    let start = app.get("/docs/swagger-initializer.js").await;
    assert!(
        start.text.contains("\"persistAuthorization\": false"),
        "{start:?}"
    );
}

#[tokio::test]
async fn no_response_is_taken_for_another_type() {
    let app = spawn_app();
    for path in [
        "/",
        "/docs/",
        "/openapi.yaml",
        "/healthz",
        "/users/bob/unread",
        "/nowhere",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let refused = app
        .call("GET", "/", &[("host", "evil.example")], None)
        .await;
    assert_eq!(refused.header("x-content-type-options"), "nosniff");
}
