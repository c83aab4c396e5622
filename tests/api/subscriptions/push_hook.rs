//! The example of a hook for push notifications, run as it is.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::source_tree::root;
use crate::harness::{client, eventually, spawn_app};

const SECRET: &[u8] = b"a secret of a webhook, 24 bytes or more";
const OLD_SECRET: &[u8] = b"the secret that it had until yesterday";

/// A key as the secret of a webhook.
fn secret(key: &[u8]) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(key))
}

/// A running hook. Killed when dropped.
struct Hook {
    process: Child,
    lines: Receiver<String>,
}

impl Hook {
    /// Starts one, or returns `None` so that the test is skipped. In CI there must be a Python.
    fn start(args: &[&str]) -> Option<Self> {
        let secrets = [SECRET, OLD_SECRET].map(secret);
        let mut command = Command::new("python3");
        command
            .arg(root().join("examples/push-hook.py"))
            .args(args)
            .env("WEBHOOK_SECRET", secrets.join(" "))
            .env_remove("DUOLOGUE_KEY")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let Ok(mut process) = command.spawn() else {
            let missing = "there is no python3 on the PATH";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            // The test runner captures the output of `eprintln!`.
            let _ = writeln!(std::io::stderr(), "skipped: {missing}");
            return None;
        };
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Self { process, lines })
    }

    /// The address at which it listens.
    fn address(&mut self) -> String {
        let mut errors: BufReader<ChildStderr> =
            BufReader::new(self.process.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        address.unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// The next push.
    async fn next(&self) -> Value {
        let mut line = String::new();
        eventually(
            "the hook prints a push",
            Duration::from_secs(20),
            async || {
                line = self.lines.try_recv().unwrap_or_default();
                !line.is_empty()
            },
        )
        .await;
        serde_json::from_str(&line).unwrap()
    }

    fn assert_silent(&self) {
        let line = self.lines.try_recv();
        assert!(line.is_err(), "{line:?}");
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// HMAC-SHA256 (RFC 2104) with a key of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|i| key.get(i).unwrap_or(&0) ^ byte).collect() };
    let inner = Sha256::digest([&pad(0x36), text].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

/// Posts an event as a webhook, signed with a key at a time. Returns the status.
async fn post(address: &str, event: &Value, key: &[u8], sent_at: i64) -> u16 {
    let (id, body) = (event["id"].as_str().unwrap(), event.to_string());
    let signature = BASE64_STANDARD.encode(hmac(key, format!("{id}.{sent_at}.{body}").as_bytes()));
    let request = client()
        .post(address)
        .header("webhook-id", id)
        .header("webhook-timestamp", sent_at)
        .header("webhook-signature", format!("v1,bm9uZQ== v1,{signature}"))
        .body(body);
    request.send().await.unwrap().status().as_u16()
}

fn badge(total: u64, id: &str) -> Value {
    json!({
        "id": id, "type": "badge.changed", "timestamp": "2026-11-20T16:21:36.052Z",
        "data": {
            "user": "bob", "total_unread_count": total, "unread_conversations": 1, "muted_unread_count": 0,
            "peer": "alice", "unread_count": total, "muted": false, "online": false, "mentioned": false,
            "cause": "conversation.read",
        },
    })
}

#[tokio::test]
async fn the_example_of_a_push_hook_pulls() {
    let app = spawn_app();
    let Some(hook) = Hook::start(&["--pull", &app.address]) else {
        return;
    };
    let there = async || app.get("/subscriptions/push").await.status == 200;
    eventually("it subscribes", Duration::from_secs(20), there).await;
    let sent = app.send("alice", "bob", "Hi, Bob").await;
    let push = hook.next().await;
    assert_eq!(push["user"], "bob");
    let expected = json!({
        "alert": {"title": "alice", "body": "Hi, Bob"}, "badge": 1, "sound": "default", "thread-id": "alice",
    });
    assert_eq!(push["apns"]["payload"]["aps"], expected);
    assert_eq!(push["apns"]["headers"]["apns-collapse-id"], sent["id"]);
    let android = &push["fcm"]["message"]["android"];
    assert_eq!(android["notification"]["notification_count"], 1);
    assert_eq!(android["notification"]["tag"], sent["id"]);
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    assert_eq!(
        hook.next().await["apns"]["payload"],
        json!({"aps": {"badge": 1}})
    );
    app.send("alice", "bob", "quiet").await;
    assert_eq!(
        hook.next().await["apns"]["payload"],
        json!({"aps": {"badge": 2}})
    );
    app.mark_read("bob", "alice", 2).await;
    let push = hook.next().await;
    assert_eq!(push["apns"]["payload"], json!({"aps": {"badge": 0}}));
    assert_eq!(push["fcm"]["message"]["data"]["badge"], "0");
    app.open_room("general", &["alice", "bob"]).await;
    app.flag(Method::PUT, "bob", "room:general", "mute").await;
    let mention =
        json!({"from": "alice", "to": "room:general", "body": "@bob", "mentions": ["bob"]});
    app.post(&mention).await.json(201);
    let push = hook.next().await;
    assert_eq!(
        push["fcm"]["message"]["notification"]["title"],
        "alice in general"
    );
    let settled = async || {
        let state = app.subscription("push").await;
        state["lag"] == 0 && state["pending"] == 0
    };
    eventually("it acknowledges", Duration::from_secs(20), settled).await;
    hook.assert_silent();
}

#[tokio::test]
async fn the_example_of_a_push_hook_shows_no_expired_message() {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    let message = json!({"from": "alice", "to": "bob", "body": "for a second", "expires_in": 1});
    app.post(&message).await.json(201);
    let path = "/conversations/bob/alice/messages/1";
    let expired = async || app.get(path).await.json(200)["deleted_at"].is_string();
    eventually("it expires", Duration::from_secs(20), expired).await;
    let Some(hook) = Hook::start(&["--pull", &app.address]) else {
        return;
    };
    let push = hook.next().await;
    let badge = json!({"aps": {"badge": 1}});
    assert_eq!(push["apns"]["payload"], badge);
}

#[tokio::test]
async fn the_example_of_a_push_hook_takes_webhooks() {
    let app = spawn_app();
    let Some(mut hook) = Hook::start(&["--listen", "127.0.0.1:0"]) else {
        return;
    };
    let settings =
        json!({"types": ["badge.changed"], "url": hook.address(), "secret": secret(SECRET)});
    app.subscribe("push", &settings).await;
    app.send("alice", "bob", "Hi").await;
    let push = hook.next().await;
    assert_eq!(push["fcm"]["message"]["notification"]["body"], "Hi");
    app.mark_read("bob", "alice", 1).await;
    let badge = json!({"aps": {"badge": 0}});
    assert_eq!(hook.next().await["apns"]["payload"], badge);
}

#[tokio::test]
async fn the_example_of_a_push_hook_verifies_webhooks() {
    let Some(mut hook) = Hook::start(&["--listen", "127.0.0.1:0"]) else {
        return;
    };
    let (address, now) = (hook.address(), Utc::now().timestamp());
    let first = badge(3, "273-1795194096052-0");
    for (key, sent_at) in [
        (&b"another key"[..], now),
        (SECRET, now - 301),
        (SECRET, now + 301),
    ] {
        assert_eq!(post(&address, &first, key, sent_at).await, 401);
    }
    let unsigned = client().post(&address).body(first.to_string());
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
    hook.assert_silent();
    assert_eq!(post(&address, &first, SECRET, now).await, 204);
    assert_eq!(hook.next().await["apns"]["payload"]["aps"]["badge"], 3);
    // It comes again, and one before it.
    assert_eq!(post(&address, &first, SECRET, now).await, 204);
    assert_eq!(
        post(&address, &badge(2, "273-1795194096051-9"), SECRET, now).await,
        204
    );
    let other = json!({"id": "1-1-0", "type": "room.created", "timestamp": "2026-11-20T16:21:36.052Z", "data": {}});
    assert_eq!(post(&address, &other, SECRET, now).await, 204);
    let malformed = json!({"id": "1-1-0", "type": "badge.changed"});
    assert_eq!(post(&address, &malformed, SECRET, now).await, 400);
    assert_eq!(
        post(&address, &badge(4, "273-1795194096052-10"), OLD_SECRET, now).await,
        204
    );
    assert_eq!(hook.next().await["apns"]["payload"]["aps"]["badge"], 4);
    hook.assert_silent();
}
