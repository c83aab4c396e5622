//! The messenger at `/`: how it is served.

use reqwest::Method;

use crate::harness::{spawn_app, spawn_app_with};
use crate::tidy::files;

const FILES: [(&str, &str); 3] = [
    ("/", "text/html; charset=utf-8"),
    ("/messenger.css", "text/css; charset=utf-8"),
    ("/messenger.js", "text/javascript; charset=utf-8"),
];

#[tokio::test]
async fn the_page_is_served_from_the_binary_and_may_do_little() {
    let app = spawn_app();
    for (path, content_type) in FILES {
        let file = app.get(path).await;
        assert_eq!(
            (file.status, file.header("content-type")),
            (200, content_type)
        );
        assert_eq!(file.header("cache-control"), "no-cache");
        assert_eq!(file.header("referrer-policy"), "no-referrer");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        let policy = file.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let seen = [("if-none-match", file.header("etag"))];
        let again = app.call("GET", path, &seen, None).await;
        assert_eq!((again.status, &*again.text), (304, ""));
        let other = [("if-none-match", "\"another\"")];
        assert_eq!(app.call("GET", path, &other, None).await.status, 200);
        let refused = app.request(Method::POST, path).await;
        refused.problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(refused.header("allow"), "GET");
    }
}

#[tokio::test]
async fn the_page_can_be_switched_off() {
    let app = spawn_app_with(&["--page", "false"]);
    for (path, _) in FILES {
        app.get(path).await.problem(404, "NOT_FOUND");
    }
}

#[test]
fn the_page_is_small_and_asks_nobody_else() {
    let kinds = ["html", "css", "js"];
    let files = kinds.iter().flat_map(|kind| files("web", kind));
    let lines: Vec<_> = files
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(lines.len() < 800, "{} lines", lines.len());
    for line in lines {
        assert!(line.chars().count() <= 110, "{line}");
        assert!(
            !line.contains("http:") && !line.contains("https:"),
            "{line}"
        );
        assert!(!line.contains("innerHTML"), "{line}");
    }
}
