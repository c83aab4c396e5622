//! Signatures of webhooks, and the rotation of secrets.

use std::process::{Command, Stdio};

use duologue::model::WebhookSecret;
use duologue::store::Keys;
use duologue::worker::webhooks::signature::signatures;
use redis::Commands;
use reqwest::Method;
use serde_json::json;

use crate::harness::spawn_app;
use crate::harness::webhooks::Receiver;

fn secret(text: &str) -> WebhookSecret {
    WebhookSecret::try_from(text.to_owned()).unwrap()
}

#[test]
fn a_published_example_is_signed_as_published() {
    let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let body = r#"{"test": 2432232314}"#;
    let signature = signatures(
        &[secret],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        body,
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn secrets_have_24_to_64_bytes() {
    let of = |length: usize| {
        let bytes = vec![7; length];
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        WebhookSecret::try_from(format!("whsec_{text}"))
    };
    for (length, is_valid) in [(23, false), (24, true), (64, true), (65, false)] {
        assert_eq!(of(length).is_ok(), is_valid, "{length}");
    }
    let [one, other] = [(); 2].map(|()| WebhookSecret::random().unwrap());
    assert_ne!(one, other);
    assert_eq!(one.key().len(), 32);
    assert!(!format!("{one:?}").contains(one.as_str()));
}

#[tokio::test]
async fn a_changed_byte_or_another_secret_does_not_verify() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    let secret = app.subscribe_webhook("hook", &receiver).await;
    app.send("alice", "bob", "hi").await;
    let request = receiver.wait_for(1).await.remove(0);
    assert!(request.verifies(&secret));
    let mut changed = request.clone();
    changed.body = request.body.replace("\"hi\"", "\"ho\"");
    assert!(!changed.verifies(&secret));
    for header in ["webhook-id", "webhook-timestamp"] {
        let mut changed = request.clone();
        changed.headers.get_mut(header).unwrap().push('1');
        assert!(!changed.verifies(&secret), "{header}");
    }
    let other = WebhookSecret::random().unwrap();
    assert!(!request.verifies(other.as_str()));
    let timestamp: i64 = request.headers["webhook-timestamp"].parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - timestamp).abs() < 60);
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    let old = app.subscribe_webhook("hook", &receiver).await;
    let new = WebhookSecret::random().unwrap();
    let rotated =
        json!({"url": receiver.url(), "types": ["message.created"], "secret": new.as_str()});
    for _ in 0..2 {
        let changed = app.ask(Method::PUT, "/subscriptions/hook", &rotated).await;
        assert_eq!(changed.status, 200, "it may be repeated");
    }
    let verifying = async |text: &str| {
        app.send("alice", "bob", text).await;
        app.wait_until_taken("hook").await;
        let request = receiver.received().pop().unwrap();
        [old.as_str(), new.as_str()].map(|secret| request.verifies(secret))
    };
    let is = async |expected: [bool; 2]| {
        let is = async || verifying("hi").await == expected;
        let what = format!("it verifies: {expected:?}");
        crate::harness::eventually(&what, std::time::Duration::from_secs(20), is).await;
    };
    is([true, true]).await;
    let mut redis = app.redis();
    let key = Keys::new().webhook("hook");
    let until: i64 = redis.hget(&key, "old_until_us").unwrap();
    let left_s = until / 1_000_000 - chrono::Utc::now().timestamp();
    assert!((86_000..=86_400).contains(&left_s), "{left_s}");
    // A day later.
    let () = redis
        .hset(&key, "old_until_us", "1700000000000000")
        .unwrap();
    is([false, true]).await;
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// What OpenSSL says of a signature.
fn openssl_hmac(key: &[u8], message: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-mac", "HMAC", "-macopt"]);
    openssl.arg(format!("hexkey:{}", hex(key)));
    let mut openssl = openssl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = openssl.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, message.as_bytes()).unwrap();
    drop(input);
    let output = openssl.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn openssl_and_the_receiver_of_the_tests_sign_alike() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    for length in [24, 32, 64] {
        let key: Vec<u8> = (0..length).collect();
        let ours = crate::harness::webhooks::hmac_sha256(&key, b"a.1.{}");
        assert_eq!(hex(&ours), openssl_hmac(&key, "a.1.{}"));
    }
}
