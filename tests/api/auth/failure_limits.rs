//! The limit of failed authentications per client address.

use std::time::Instant;

use super::rate_limits::READ;
use crate::harness::TestApp;
use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with, token_until};

/// The number of attempts with an invalid credential that get a 401 before the address is limited.
async fn count_unauthorized(app: &TestApp, attempts: usize, headers: &[(&str, &str)]) -> usize {
    let all = [headers, &[("authorization", "Bearer nonsense")]].concat();
    let mut refused = 0;
    for _ in 0..attempts {
        let answer = app.call("GET", READ, &all, None).await;
        match answer.status {
            401 => refused += 1,
            _ => {
                answer.problem(429, "RATE_LIMITED");
                assert!(!answer.header("retry-after").is_empty());
                assert_eq!(answer.header("www-authenticate"), "");
            }
        }
    }
    refused
}

/// Whether this address is limited. Tries five times, because an attempt is refilled each second.
async fn is_limited(app: &TestApp, headers: &[(&str, &str)]) -> bool {
    count_unauthorized(app, 5, headers).await < 5
}

#[tokio::test]
async fn failed_logins_are_limited_but_valid_ones_still_pass() {
    let app = spawn_secured_app_with(&[]);
    let begun = Instant::now();
    let refused = count_unauthorized(&app, 40, &[]).await;
    let refilled = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!((30..=30 + refilled).contains(&refused), "{refused}");
    assert_eq!(app.get_as(SERVICE_KEY, READ).await.status, 200);
}

#[tokio::test]
async fn an_expired_token_gets_401_even_from_a_limited_address() {
    let app = spawn_secured_app_with(&[]);
    count_unauthorized(&app, 40, &[]).await;
    assert!(is_limited(&app, &[]).await);
    let expired = app.get_as(&token_until("alice", -60), READ).await;
    let problem = expired.problem(401, "UNAUTHENTICATED");
    assert_eq!(problem["detail"], "The token has expired.");
    let challenge = expired.header("www-authenticate");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert_eq!(
        expired.headers.get_all("www-authenticate").iter().count(),
        1
    );
    assert!(expired.header("retry-after").parse::<u64>().unwrap() >= 1);
    // A token with an invalid signature is a guess, even if it says that it has expired.
    let expired = token_until("alice", -60);
    let forged = format!("{}AAAA", &expired[..expired.len() - 4]);
    app.get_as(&forged, READ).await.problem(429, "RATE_LIMITED");
}

#[tokio::test]
async fn only_a_trusted_proxy_sets_the_client_address() {
    let trusting = spawn_secured_app_with(&["--trusted-proxies", "127.0.0.0/8, ::1"]);
    count_unauthorized(&trusting, 40, &[("x-forwarded-for", "192.0.2.1")]).await;
    let cases = [
        ("another client", "x-forwarded-for", "192.0.2.2", false),
        (
            "another client in `Forwarded`",
            "forwarded",
            "for=192.0.2.3;proto=https",
            false,
        ),
        (
            "the limited client after a forged hop",
            "x-forwarded-for",
            "192.0.2.9, 192.0.2.1",
            true,
        ),
        (
            "the limited client in `Forwarded`",
            "forwarded",
            "for=192.0.2.1",
            true,
        ),
    ];
    for (why, name, value, limited) in cases {
        assert_eq!(
            is_limited(&trusting, &[(name, value)]).await,
            limited,
            "{why}"
        );
    }
    let strangers = spawn_secured_app_with(&["--trusted-proxies", "10.0.0.0/8"]);
    count_unauthorized(&strangers, 40, &[]).await;
    for header in [
        ("x-forwarded-for", "192.0.2.2"),
        ("forwarded", "for=192.0.2.3"),
    ] {
        assert!(is_limited(&strangers, &[header]).await, "{header:?}");
    }
}

#[tokio::test]
async fn a_client_cannot_spoof_its_address_through_a_trusted_proxy() {
    let app = spawn_secured_app_with(&["--trusted-proxies", "127.0.0.1"]);
    let proxy = ("x-forwarded-for", "192.0.2.1");
    for n in 0..40 {
        let made_up = format!("for=203.0.113.{n}");
        count_unauthorized(&app, 1, &[proxy, ("forwarded", &made_up)]).await;
    }
    let one_more = [proxy, ("forwarded", "for=203.0.113.99")];
    assert!(is_limited(&app, &one_more).await);
}

#[tokio::test]
async fn an_ipv6_network_counts_as_one_address() {
    let app = spawn_secured_app_with(&["--trusted-proxies", "127.0.0.1"]);
    for n in 0..40 {
        let address = format!("2001:db8::{n:x}");
        count_unauthorized(&app, 1, &[("x-forwarded-for", &address)]).await;
    }
    let near = [("x-forwarded-for", "2001:db8::ffff")];
    assert!(is_limited(&app, &near).await);
    let elsewhere = [("x-forwarded-for", "2001:db8:0:1::1")];
    assert!(!is_limited(&app, &elsewhere).await);
}
