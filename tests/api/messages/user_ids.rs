//! The ids of identity providers work everywhere: in paths, queries, tokens, events, keys.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app, token};
use crate::harness::http::response::ApiResponse;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::{TestApp, spawn_app};

/// One id of each kind.
pub const IDS: &[&str] = &[
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "google-oauth2|106529374919283746561",
    "waad|aB3_x-9ZkQ",
    "us-east-1:12345678-90ab-cdef-1234-567890abcdef",
    "arn:aws:iam::123456789012:user;bob",
    "bob+work@example.com",
    "o'brien@example.ie",
    "+4915112345678",
    "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
    "did:web:example.com:user:alice",
    "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "e5f3b6a0-7f5f-4a7e-8a5f-1f4a6a1d9b3c",
    "tR3vQkz8kPbN0mXfJ1aWcYd2uLs1",
    "00u1a2b3c4D5e6F7g8h9",
    "@alice:matrix.example.org",
    "001234.a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6.0789",
    "U024BE7LH",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "0ujtsYcgvSTl8PAuAdqWYSMnLOv",
    "175928847299117063",
    "samlp|idp|x=y&z",
    "user_2NNEqL2nrIRdJ194ndJqAHwEfxC",
    "*(!$&'()*+;=:@|~._-)*",
];

/// An id as `encodeURIComponent` writes it.
pub fn encoded(id: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b);
    let encode = |b: u8| {
        if plain(b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    id.bytes().map(encode).collect::<Vec<_>>().concat()
}

async fn call(app: &TestApp, method: Method, as_user: &str, path: &str) -> ApiResponse {
    let bearer = format!("Bearer {}", token(as_user));
    let headers = [("authorization", &*bearer)];
    app.call(method.as_str(), path, &headers, None).await
}

async fn send(app: &TestApp, from: &str, to: &str) -> ApiResponse {
    app.post_as(&token(from), &json!({"to": to, "body": "hi"}))
        .await
}

/// Each id with a peer: another of these ids, so that every path, pair and event contains two.
fn ids_with_peers() -> impl Iterator<Item = (String, &'static str)> {
    let long = "x|".repeat(127) + "y";
    let ids = IDS.iter().map(|id| (*id).to_owned()).chain([long]);
    let peers = IDS.iter().cycle().skip(1);
    ids.zip(peers.copied())
}

#[tokio::test]
async fn each_id_sends_listens_and_reads() {
    let app = spawn_secured_app();
    for (id, peer) in ids_with_peers() {
        let bearer = format!("duologue.v1, bearer.{}", token(&id));
        let options = ConnectOptions::new(&app.address).protocols(&bearer);
        let mut device = options.connect(None).await;
        assert_eq!(device.hello["user"], id);
        let sent = send(&app, &id, peer).await;
        let message = sent.json(201);
        assert_eq!(
            (&message["from"], &message["to"]),
            (&json!(id), &json!(peer))
        );
        let path = sent.header("location");
        assert!(!path.contains('|'), "not a valid URI: {path}");
        let found = call(&app, Method::GET, &id, path).await;
        assert_eq!((found.status, &found.text), (200, &sent.text));
        assert_eq!(found.header("etag"), sent.header("etag"));
        let event = device.next().await;
        assert_eq!(
            (&event["peer"], &event["message"]["from"]),
            (&json!(peer), &json!(id))
        );
        let (user, other) = (encoded(&id), encoded(peer));
        let page = format!("/conversations/{other}/{user}");
        let read = call(&app, Method::GET, peer, &page).await;
        assert_eq!(read.json(200)["unread"], json!([message]), "{id}");
        let counted = call(&app, Method::GET, peer, &format!("/users/{other}/unread")).await;
        assert_eq!(counted.json(200)["total_unread_count"], 0, "{id}");
    }
}

#[tokio::test]
async fn each_id_is_blocked_and_types() {
    let app = spawn_secured_app();
    for (id, peer) in ids_with_peers() {
        send(&app, &id, peer).await.json(201);
        let (user, other) = (encoded(&id), encoded(peer));
        let block = format!("/conversations/{other}/{user}/block");
        let blocked = call(&app, Method::PUT, peer, &block).await.json(200);
        assert_eq!(blocked["blocked"], true);
        send(&app, &id, peer).await.problem(403, "BLOCKED");
        let unblocked = call(&app, Method::DELETE, peer, &block).await.json(200);
        assert_eq!(unblocked["blocked"], false);
        let typing = format!("/conversations/{user}/{other}/typing");
        assert_eq!(call(&app, Method::POST, &id, &typing).await.status, 204);
    }
}

#[tokio::test]
async fn a_backend_reads_and_connects_as_each_id() {
    let app = spawn_secured_app();
    let bearer = format!("Bearer {SERVICE_KEY}");
    let headers = [("authorization", &*bearer)];
    for (id, peer) in ids_with_peers() {
        let (user, other) = (encoded(&id), encoded(peer));
        let presence = format!("/presence?users={other},{user}");
        let presence = app.get_as(SERVICE_KEY, &presence).await.json(200);
        let named = [0, 1].map(|at| presence["users"][at]["user"].clone());
        assert_eq!(named, [json!(peer), json!(id)]);
        let events = format!("/events?user={user}");
        app.get_as(SERVICE_KEY, &events).await.json(200);
        let wanted = json!({"user": id});
        let ticket = app.call("POST", "/tickets", &headers, Some(&wanted)).await;
        let ticket = ticket.json(201);
        let by_ticket = ConnectOptions::new(&app.address)
            .query("ticket", ticket["ticket"].as_str().unwrap())
            .connect(None)
            .await;
        assert_eq!(by_ticket.hello["user"], id);
    }
}

#[tokio::test]
async fn each_id_is_exported_and_erased() {
    let app = spawn_secured_app();
    for (id, peer) in ids_with_peers() {
        send(&app, &id, peer).await.json(201);
        let path = format!("/users/{}/export", encoded(&id));
        let export = call(&app, Method::GET, &id, &path).await.text;
        let lines = export.lines();
        let lines: Vec<Value> = lines.map(|l| serde_json::from_str(l).unwrap()).collect();
        let mut peers = lines.iter().map(|line| &line["conversation"]["peer"]);
        assert!(peers.any(|exported| exported == peer), "{id}: {lines:?}");
    }
    let bearer = format!("Bearer {SERVICE_KEY}");
    for id in IDS {
        let path = format!("/users/{}", encoded(id));
        let erased = app
            .call("DELETE", &path, &[("authorization", &bearer)], None)
            .await;
        assert_eq!(erased.json(200)["done"], true, "{id}");
    }
}

#[tokio::test]
async fn imported_lines_accept_the_same_ids() {
    let app = spawn_app();
    let line = |id: &&str| {
        json!({"from": id, "to": "reader", "body": "hi", "sent_at": "2019-01-31T12:00:00Z"})
            .to_string()
    };
    let batch: Vec<_> = IDS.iter().map(line).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let imported = app
        .call_text("POST", "/messages/batch", &headers, batch.join("\n"))
        .await;
    assert_eq!(imported.json(200)["imported"], IDS.len());
}

#[tokio::test]
async fn similar_ids_have_separate_conversations() {
    let app = spawn_app();
    let pairs = [
        ["a:b", "c"],
        ["a", "b:c"],
        ["a|b", "c"],
        ["a", "b|c"],
        ["a+b", "c"],
        ["a", "b+c"],
        ["a;b", "c"],
        ["a", "b;c"],
        ["a=b", "c"],
        ["a", "b=c"],
        ["user:a", "b"],
        ["key:a", "b"],
        ["A", "c"],
        ["a", "c"],
        [".a", "c"],
        ["a.", "c"],
        ["1", "c"],
    ];
    for [from, to] in pairs {
        let key = app
            .send_with_key(
                "k",
                &json!({"from": from, "to": to, "body": format!("{from} {to}")}),
            )
            .await;
        key.json(201);
        let back = app
            .send_with_key("k", &json!({"from": to, "to": from, "body": "back"}))
            .await;
        back.json(201);
    }
    for [from, to] in pairs {
        let path = format!("/conversations/{}/{}?peek=true", encoded(to), encoded(from));
        let read = app.get(&path).await.json(200);
        assert_eq!(read["history"].as_array().unwrap().len(), 2, "{from} {to}");
        assert_eq!(read["history"][1]["body"], format!("{from} {to}"));
    }
}
