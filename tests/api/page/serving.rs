//! The messenger at `/`: how it is served, who is let in, and that everybody can use it.

use reqwest::Method;
use serde_json::json;

use crate::harness::auth::secured_app::{spawn_closed_app, token};
use crate::harness::page::browser::Browser;
use crate::harness::page::window::{SEQS, Window};
use crate::harness::source_tree::files;
use crate::harness::{spawn_app, spawn_app_with};

const FILES: [(&str, &str); 3] = [
    ("/", "text/html; charset=utf-8"),
    ("/messenger.css", "text/css; charset=utf-8"),
    ("/messenger.js", "text/javascript; charset=utf-8"),
];

#[tokio::test]
async fn the_page_is_served_with_a_strict_security_policy() {
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
fn the_page_is_small_and_loads_nothing_external() {
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

#[tokio::test]
async fn the_page_accepts_a_token_and_keeps_it_out_of_urls() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let app = spawn_closed_app();
    let window = browser.open(&app.address);
    window.click("#who");
    window.type_text("a token that is none");
    window.press_key("Enter");
    window.wait_until("document.querySelector('#refusal').textContent");
    window.value("document.querySelector('#who').value = ''");
    let token = token("alice");
    window.sign_in(&token);
    window.wait_for_text("#me", "alice");
    window.open_conversation("bob");
    window.send("It is really me");
    window.wait_visible("[data-key='1'] .tick.sent");
    window.choose_action(1, "edit");
    window.type_text("!");
    window.press_key("Enter");
    window.wait_for_text("[data-key='1']", "It is really me!");
    let addresses = "[location.href, ...performance.getEntriesByType('resource').map(e => e.name)]";
    let addresses = window.value(addresses).to_string();
    assert!(!addresses.contains(&token), "{addresses}");
    window.click("#leave");
    window.wait_visible("#door");
    assert_eq!(
        window.value("sessionStorage.length + localStorage.length"),
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
    is_accessible(&window, "the door");
    window.sign_in("alice");
    window.wait_for_text(".row", "70");
    is_accessible(&window, "the inbox");
    window.wait_hidden("#talk");
    // By keyboard: from the field through the button to the first conversation.
    window.click("#whom");
    window.press_key("Tab");
    window.press_key("Tab");
    window.press_key("Enter");
    window.wait_visible("#talk");
    window.wait_hidden("#inbox");
    window.wait_until(&format!("{SEQS}.length === 50"));
    is_accessible(&window, "the conversation");
    window.click("#older");
    window.wait_until(&format!("{SEQS}.length === 71"));
    window.wait_hidden("#older");
    window.click("[data-key='71'] .menu");
    window.wait_until("document.activeElement.closest('#actions')");
    is_accessible(&window, "the menu");
    window.press_key("Escape");
    window.wait_until("document.activeElement.matches('[data-key=\"71\"] .menu')");
    window.click("#back");
    window.wait_visible("#inbox");
    window.wait_hidden(".badge");
    assert_eq!(browser.errors(), [""; 0]);
}

/// Whatever can be used or looked at has a name, and nothing is wider than the window.
fn is_accessible(window: &Window, what: &str) {
    let wide = window.value("document.documentElement.scrollWidth > innerWidth");
    assert_eq!(wide, false, "{what} is too wide");
    let tree = window.call("Accessibility.getFullAXTree", &json!({}));
    let roles = [
        "button",
        "link",
        "textbox",
        "image",
        "dialog",
        "navigation",
        "region",
    ];
    let mut found = 0;
    for node in tree["nodes"].as_array().unwrap() {
        let (role, name) = (&node["role"]["value"], &node["name"]["value"]);
        if roles.iter().any(|named| role == named) {
            found += 1;
            assert!(
                name.as_str().is_some_and(|n| !n.is_empty()),
                "{what}: {node}"
            );
        }
    }
    assert!(found >= 2, "{what}");
}
