//! URLs of attachments: which are accepted, and the form in which they are stored.

use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::send::message;
use crate::harness::http::response::ApiResponse;
use crate::harness::import::{import, line};
use crate::harness::{TestApp, spawn_app};
use crate::meta::openapi::contract;

async fn attach(app: &TestApp, url: &str) -> ApiResponse {
    app.post(&message(&json!({"attachments": [{"url": url}]})))
        .await
}

#[tokio::test]
async fn urls_are_stored_in_their_normal_form() {
    let app = spawn_app();
    for (given, stored) in [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/A", "https://example.com/A"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        (
            "https://bücher.example/ä",
            "https://xn--bcher-kva.example/%C3%A4",
        ),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x"),
        ("https://my_bucket.example/x", "https://my_bucket.example/x"),
        ("https://a.example./", "https://a.example./"),
        ("https://a.example/b/../c", "https://a.example/c"),
        (
            "https://a.example/my menu.jpg",
            "https://a.example/my%20menu.jpg",
        ),
        (
            "https://a.example/a|b^c`d",
            "https://a.example/a%7Cb%5Ec%60d",
        ),
        (
            "https://a.example/{a}[b]<c>\"",
            "https://a.example/%7Ba%7D%5Bb%5D%3Cc%3E%22",
        ),
        ("https://a.example/100%", "https://a.example/100%25"),
        (
            "https://a.example/%zz%e4%2",
            "https://a.example/%25zz%e4%252",
        ),
        (
            "https://a.example/?a[]=1|2&b=%",
            "https://a.example/?a%5B%5D=1%7C2&b=%25",
        ),
        ("https://a.example/#a#b{", "https://a.example/#a%23b%7B"),
        (
            "https://a.example/x?X-Amz-Date=20260131T000000Z&X-Amz-Signature=ab%2Fc%2B",
            "https://a.example/x?X-Amz-Date=20260131T000000Z&X-Amz-Signature=ab%2Fc%2B",
        ),
    ] {
        let sent = attach(&app, given).await.json(201);
        assert_eq!(sent["attachments"][0]["url"], stored, "{given}");
        assert_eq!(
            attach(&app, stored).await.json(201)["attachments"],
            sent["attachments"]
        );
    }
}

#[tokio::test]
async fn other_urls_are_refused_in_sends_edits_and_imports() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let long = format!("https://a.example/{}", " ".repeat(1000) + "x");
    for url in [
        "",
        "/menu.jpg",
        "//a.example/x",
        "https:a.example",
        "https:/a.example",
        "https:///a.example",
        "https://",
        "https:///",
        "https://:443/",
        "https://a.example:65536/",
        "https:\\\\a.example",
        "https://a.example\\x",
        "https://a.example/?a\\b",
        " https://a.example",
        "https://a.example ",
        "\u{1}https://a.example",
        "ht\ttps://a.example",
        "https://a.example/a\nb",
        "https://a.example/a\u{0}b",
        "https://user@a.example/",
        "https://user:secret@a.example/",
        "https://a b.example/",
        "https://{a}.example/",
        "https://a|b.example/",
        "https://a\"b.example/",
        "https://a%20b.example/",
        "https://a..example/",
        "https://.a.example/",
        "https://xn--a.example/",
        "https://[::1",
        "https://[::1%25eth0]/",
        "ftp://a.example/x",
        "javascript://a.example/%0aalert(1)",
        "data:image/png;base64,AAAA",
        long.as_str(),
    ] {
        let refused = attach(&app, url).await;
        assert_eq!(refused.status, 400, "{url:?}");
        refused.invalid_field("/attachments/0/url");
        let attachments = json!([{"url": url}]);
        let edit = json!({"attachments": attachments});
        let refused = app.edit("alice", "bob", 1, &edit).await;
        refused.invalid_field("/attachments/0/url");
        let mut imported = line("carol", "dave", "x", 1);
        imported["attachments"] = attachments;
        let refused = import(&app, &[imported]).await;
        refused.invalid_field("/0/attachments/0/url");
    }
    let kept = app.peek("alice", "bob").await;
    assert_eq!(kept["last_seq"], 1);
    let message = kept["history"][0].as_object().unwrap();
    assert_eq!(message.get("attachments"), None);
    assert_eq!(app.peek("carol", "dave").await["last_seq"], 0);
}

#[tokio::test]
async fn edits_and_imports_store_the_normal_form_too() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let attachments = json!([{"url": "HTTP://A.example/a|b"}]);
    let edit = json!({"attachments": attachments});
    let edited = app.edit("alice", "bob", 1, &edit).await.json(200);
    assert_eq!(edited["attachments"][0]["url"], "http://a.example/a%7Cb");
    let mut imported = line("carol", "dave", "x", 1);
    imported["attachments"] = attachments;
    assert_eq!(import(&app, &[imported]).await.status, 200);
    let read = app.peek("carol", "dave").await;
    let stored = &read["history"][0]["attachments"][0];
    assert_eq!(stored["url"], "http://a.example/a%7Cb");
}

/// Checks a URL by the grammar of RFC 3986 (section 3), without the parser that the service uses.
fn assert_rfc3986(url: &str) {
    let rest = url.strip_prefix("https://");
    let rest = rest.or_else(|| url.strip_prefix("http://")).expect(url);
    let (authority, rest) = rest.split_at(rest.find('/').expect(url));
    let literal = authority.strip_prefix('[').and_then(|a| a.split_once(']'));
    let (host, port) = match literal {
        Some((address, port)) => {
            address.parse::<std::net::Ipv6Addr>().expect(url);
            (address, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let of_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    assert!(!host.is_empty() && host.chars().all(of_host), "{url}");
    assert!(port.is_empty() || port[1..].parse::<u16>().is_ok(), "{url}");
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    for component in [rest, fragment] {
        let mut escapes = component.split('%');
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?".contains(c);
        assert!(
            escapes.next().is_some_and(|text| text.chars().all(allowed)),
            "{url}"
        );
        for escaped in escapes {
            let digits = escaped.get(..2).expect(url);
            assert!(digits.chars().all(|c| c.is_ascii_hexdigit()), "{url}");
            assert!(escaped.chars().all(allowed), "{url}");
        }
    }
}

/// Any text that the contract's pattern allows, and URLs whose host is valid and whose rest is not.
fn urls() -> impl Strategy<Value = String> {
    let pattern = contract()["components"]["schemas"]["AttachmentUrl"]["pattern"].as_str();
    let pattern = pattern
        .unwrap()
        .trim_start_matches('^')
        .trim_end_matches('$');
    prop_oneof![
        1 => string_regex(pattern).unwrap(),
        1 => "(http|HTTPS)://[a-zA-Z0-9._@:%-]{1,12}(:[0-9]{1,5})?[!-~]{0,12}",
        // Most of these are accepted.
        2 => "https://([a-z]{1,5}|é|[0-9.]{1,9}|\\[[0-9a-f:]{2,9}\\])[/?#][ -~é]{0,30}",
        1 => ".{0,3}https?:[/\\\\\t]{0,3}.{0,20}",
    ]
}

#[test]
fn every_url_is_refused_or_stored_as_rfc_3986_defines_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let app = spawn_app();
    let config = Config {
        cases: 1000,
        failure_persistence: None,
        ..Config::default()
    };
    let accepted = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&urls(), |url| {
        let answer = runtime.block_on(attach(&app, &url));
        if answer.status == 400 {
            answer.invalid_field("/attachments/0/url");
            return Ok(());
        }
        accepted.set(accepted.get() + 1);
        let stored = answer.json(201)["attachments"][0]["url"].take();

        assert_rfc3986(stored.as_str().unwrap());
        let again = runtime.block_on(attach(&app, stored.as_str().unwrap()));
        let again: Value = again.json(201)["attachments"][0]["url"].take();
        assert_eq!(again, stored, "the normal form is final");
        Ok(())
    });
    result.unwrap();
    assert!(
        accepted.get() > 100,
        "only {} were accepted",
        accepted.get()
    );
}
