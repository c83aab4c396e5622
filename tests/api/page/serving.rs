//! The messenger page at `/`: how it is served, signing in, and accessibility.

use reqwest::Method;

use crate::harness::auth::secured_app::{spawn_secured_app, token};
use crate::harness::page::browser::Browser;
use crate::harness::page::window::SEQS;
use crate::harness::source_tree::files;
use crate::harness::{spawn_app, spawn_app_with};

/// The path and the content type of every file in the folder `web`.
fn served_files() -> Vec<(String, &'static str)> {
    let kinds = [
        ("html", "text/html; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
    ];
    let mut served = Vec::new();
    for (ending, content_type) in kinds {
        for name in files("web", ending).into_keys() {
            let path = name.trim_start_matches("web").replace("index.html", "");
            served.push((path, content_type));
        }
    }
    assert!(served.len() > 4, "{served:?}");
    served
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_security_policy() {
    let app = spawn_app();
    for (path, content_type) in served_files() {
        let path = path.as_str();
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
        assert_eq!(refused.header("allow"), "GET, HEAD");
    }
}

#[tokio::test]
async fn pages_ignore_their_query() {
    let app = spawn_app();
    let mut paths: Vec<_> = served_files().into_iter().map(|(path, _)| path).collect();
    paths.extend([
        "/docs/".to_owned(),
        "/docs/swagger-initializer.js".to_owned(),
    ]);
    for path in paths {
        let plain = app.get(&path).await;
        let tracked = app.get(&format!("{path}?utm_source=mail&v=1")).await;
        assert_eq!(
            (tracked.status, &tracked.text),
            (200, &plain.text),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_page_can_be_switched_off() {
    let app = spawn_app_with(&["--page", "false"]);
    for (path, _) in served_files() {
        app.get(&path).await.problem(404, "NOT_FOUND");
    }
}

#[test]
fn the_page_is_small_and_loads_nothing_external() {
    let kinds = ["html", "css", "js"];
    let files: Vec<_> = kinds.iter().flat_map(|kind| files("web", kind)).collect();
    let lines = files.iter().flat_map(|(_, text)| text.lines());
    let mut code_lines = 0;
    for line in lines {
        let code = line.trim_start();
        let ignored = ["//", "/*", "*", "import "];
        let is_ignored = ignored.iter().any(|mark| code.starts_with(mark));
        code_lines += usize::from(!is_ignored && !code.is_empty());
        assert!(line.chars().count() <= 110, "{line}");
        assert!(
            !line.contains("http:") && !line.contains("https:"),
            "{line}"
        );
        assert!(!line.contains("innerHTML"), "{line}");
    }
    // Of these, about 420 are the client.
    assert!(code_lines < 1400, "{code_lines} lines");
}

#[tokio::test]
async fn the_page_accepts_a_token_and_keeps_it_out_of_urls() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_secured_app();
    let window = browser.open(&app.address);
    window.click("#credential");
    window.type_text("a token that is none");
    window.press("Enter");
    window.wait_until("document.querySelector('#sign-in-error').textContent");
    window.evaluate("document.querySelector('#credential').value = ''");
    let token = token("alice");
    window.sign_in(&token);
    window.wait_for_text("#user", "alice");
    window.start_conversation("bob");
    window.send("Hello");
    window.wait_visible("[data-key='1'] .tick.sent");
    window.choose_action(1, "edit");
    window.type_text("!");
    window.press("Enter");
    window.wait_for_text("[data-key='1']", "Hello!");
    let urls = "[location.href, ...performance.getEntriesByType('resource').map(e => e.name)]";
    let urls = window.evaluate(urls).to_string();
    assert!(!urls.contains(&token), "{urls}");
    window.click("#sign-out");
    window.wait_visible("#sign-in");
    assert_eq!(
        window.evaluate("sessionStorage.length + localStorage.length"),
        0
    );
    assert_eq!(browser.errors(), [""; 0]);
}

#[tokio::test]
async fn the_page_fits_a_phone_and_labels_every_control() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_app();
    for n in 1..=70 {
        app.send("bob", "alice", &format!("Message {n}")).await;
    }
    app.send("alice", "bob", &"long".repeat(200)).await;
    let window = browser.open(&app.address);
    window.resize(360, 640);
    window.assert_accessible("the sign-in form");
    window.sign_in("alice");
    window.wait_for_text(".row", "70");
    window.assert_accessible("the inbox");
    window.wait_hidden("#conversation");
    // With the keyboard: from the input past the button and the tabs to the first conversation.
    window.click("#new-peer");
    for key in ["Tab", "Tab", "Tab", "Enter"] {
        window.press(key);
    }
    window.wait_visible("#conversation");
    window.wait_hidden("#inbox");
    window.wait_until(&format!("{SEQS}.length === 50"));
    window.assert_accessible("the conversation");
    window.click("#load-older");
    window.wait_until(&format!("{SEQS}.length === 71"));
    window.wait_hidden("#load-older");
    window.click("[data-key='71'] .menu");
    window.wait_until("document.activeElement.closest('#actions')");
    window.assert_accessible("the menu");
    window.press("Escape");
    window.wait_until("document.activeElement.matches('[data-key=\"71\"] .menu')");
    window.click("#back");
    window.wait_visible("#inbox");
    window.wait_hidden(".badge");
    assert_eq!(browser.errors(), [""; 0]);
}
