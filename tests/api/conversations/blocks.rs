//! Blocking and muting.

use std::collections::BTreeSet;

use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::{TestApp, spawn_app, store::lua};

async fn send(app: &TestApp, from: &str, to: &str) -> u16 {
    let message = json!({"from": from, "to": to, "body": "hi"});
    app.post(&message).await.status
}

#[tokio::test]
async fn a_message_from_a_blocked_user_is_refused_and_not_stored() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let state = app.flag(Method::PUT, "bob", "alice", "block").await;
    assert_eq!(
        (&state["blocked"], &state["peer"]),
        (&json!(true), &json!("alice"))
    );
    let before = app.peek("bob", "alice").await;
    let message = json!({"from": "alice", "to": "bob", "body": "hi"});
    app.post(&message).await.problem(403, "BLOCKED");
    app.send_with_key("k", &message)
        .await
        .problem(403, "BLOCKED");
    assert_eq!(app.peek("bob", "alice").await, before);
    assert_eq!(app.badge("bob").await, [0, 0]);
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    app.send_with_key("k", &message).await.json(201);
    assert_eq!(
        app.badge("bob").await,
        [2, 1],
        "a refused message is not sent later"
    );
}

#[tokio::test]
async fn a_block_covers_one_direction_of_one_conversation() {
    let app = spawn_app();
    app.flag(Method::PUT, "bob", "alice", "block").await;
    assert_eq!(send(&app, "alice", "bob").await, 403);
    assert_eq!(send(&app, "bob", "alice").await, 201);
    assert_eq!(send(&app, "alice", "carol").await, 201);
    assert_eq!(send(&app, "carol", "bob").await, 201);
    app.flag(Method::PUT, "alice", "bob", "block").await;
    assert_eq!(send(&app, "bob", "alice").await, 403);
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    assert_eq!(send(&app, "alice", "bob").await, 201);
    assert_eq!(
        send(&app, "bob", "alice").await,
        403,
        "each user has their own block"
    );
}

#[tokio::test]
async fn a_blocked_user_can_still_read_and_delete() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    app.send("bob", "alice", "hi").await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    let page = app.read("alice", "bob").await;
    assert_eq!(page["unread_count"], 1);
    app.delete("alice", "bob", 1).await.json(200);
    let row = app.inbox("alice", "").await["conversations"][0].clone();
    assert_eq!(row["blocked"], false, "only refusals reveal a block");
}

#[tokio::test]
async fn a_user_can_be_blocked_before_any_message() {
    let app = spawn_app();
    app.flag(Method::PUT, "bob", "alice", "block").await;
    let none: [Value; 0] = [];
    assert_eq!(app.inbox("bob", "").await["conversations"], json!(none));
    assert_eq!(send(&app, "alice", "bob").await, 403);
    assert_eq!(app.inbox("alice", "").await["conversations"], json!(none));
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    let sent = app.send("alice", "bob", "hi").await;
    assert_eq!(sent["seq"], 1);
    assert_eq!(app.badge("bob").await, [1, 1]);
}

#[tokio::test]
async fn setting_or_clearing_a_flag_twice_is_idempotent() {
    let app = spawn_app();
    app.send("alice", "bob", "hi").await;
    for (flag, member) in [("block", "blocked"), ("mute", "muted")] {
        for (method, on) in [(Method::PUT, true), (Method::DELETE, false)] {
            let first = app.flag(method.clone(), "bob", "alice", flag).await;
            let second = app.flag(method, "bob", "alice", flag).await;
            assert_eq!((&first[member], &first), (&json!(on), &second));
        }
    }
}

#[tokio::test]
async fn a_muted_conversation_still_delivers_messages() {
    let app = spawn_app();
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.send("alice", "bob", "hi").await;
    assert_eq!(app.badge("bob").await, [1, 1]);
    let row = app.inbox("bob", "").await["conversations"][0].clone();
    assert_eq!(
        (&row["muted"], &row["unread_count"]),
        (&json!(true), &json!(1))
    );
    app.clear("bob", "alice").await;
    app.send("alice", "bob", "hi").await;
    let row = app.inbox("bob", "").await["conversations"][0].clone();
    assert_eq!(row["muted"], true, "clearing keeps the mute");
}

/// The unread totals: messages, conversations, messages in muted conversations.
async fn totals(app: &TestApp, user: &str) -> [u64; 3] {
    let totals = app.totals(user).await;
    let names = [
        "total_unread_count",
        "unread_conversations",
        "muted_unread_count",
    ];
    names.map(|name| totals[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_blocked_peers_messages_leave_the_totals_and_come_back() {
    let app = spawn_app();
    for (from, count) in [("alice", 3), ("carol", 2)] {
        for _ in 0..count {
            app.send(from, "bob", "hi").await;
        }
    }
    app.flag(Method::PUT, "bob", "carol", "mute").await;
    assert_eq!(totals(&app, "bob").await, [5, 2, 2]);
    let mut bob = Device::connect(&app, "bob").await;
    assert_eq!(bob.hello["muted_unread_count"], 2);
    let state = app.flag(Method::PUT, "bob", "alice", "block").await;
    assert_eq!(state["unread_count"], 3, "they are still unread");
    assert_eq!(totals(&app, "bob").await, [2, 1, 2]);
    let event = bob.next().await;
    let badge = ["total_unread_count", "muted_unread_count"].map(|name| &event[name]);
    assert_eq!(badge, [2, 2]);
    let unread = app.inbox("bob", "unread_only=true").await;
    assert_eq!(unread["conversations"][0]["peer"], "carol");
    assert_eq!(unread["conversations"].as_array().unwrap().len(), 1);
    app.flag(Method::PUT, "bob", "carol", "block").await;
    assert_eq!(totals(&app, "bob").await, [0, 0, 0]);
    app.mark_read("bob", "alice", 2).await;
    for peer in ["alice", "carol"] {
        app.flag(Method::DELETE, "bob", peer, "block").await;
    }
    assert_eq!(totals(&app, "bob").await, [3, 2, 2], "one is left of three");
    app.flag(Method::DELETE, "bob", "carol", "mute").await;
    assert_eq!(totals(&app, "bob").await, [3, 2, 0]);
}

#[tokio::test]
async fn a_blocked_user_changes_nothing_that_the_blocker_sees() {
    let app = spawn_app();
    app.send("alice", "bob", "old").await;
    app.send("bob", "alice", "hi").await;
    let pair = ["alice", "bob"];
    app.react(Method::PUT, pair, 2, "%F0%9F%91%8D")
        .await
        .json(200);
    app.flag(Method::PUT, "bob", "alice", "block").await;
    let before = app.peek("bob", "alice").await;
    let edit = json!({"body": "new"});
    let refused = app.edit("alice", "bob", 1, &edit).await;
    refused.problem(403, "BLOCKED");
    let refused = app.react(Method::PUT, pair, 2, "%F0%9F%8E%89").await;
    refused.problem(403, "BLOCKED");
    let again = app.react(Method::PUT, pair, 2, "%F0%9F%91%8D").await;
    again.json(200);
    app.mark_delivered("alice", "bob", 2).await;
    assert_eq!(app.mark_read("alice", "bob", 2).await["unread_count"], 0);
    assert_eq!(app.read("alice", "bob").await["unread_count"], 0);
    assert_eq!(app.peek("bob", "alice").await, before, "and no receipt");
    // Removing and deleting are allowed.
    let reaction = app.react(Method::DELETE, pair, 2, "%F0%9F%91%8D").await;
    assert_eq!(reaction.json(200).get("reactions"), None);
    app.delete("alice", "bob", 1).await.json(200);
    app.edit("bob", "alice", 2, &edit).await.json(200);
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    app.react(Method::PUT, pair, 2, "%F0%9F%8E%89")
        .await
        .json(200);
    app.read("alice", "bob").await;
    assert_eq!(app.peek("bob", "alice").await["peer_read_seq"], 2);
}

/// The peers that a user has blocked, from all pages.
async fn blocked_peers(app: &TestApp, user: &str) -> BTreeSet<String> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = app.get(&format!("/users/{user}/blocks{cursor}")).await;
        let page = page.json(200);
        let blocks = page["blocks"].as_array().unwrap();
        found.extend(
            blocks
                .iter()
                .map(|block| block["peer"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("?cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn all_blocks_are_listed_with_strangers_and_cleared_ones() {
    let app = spawn_app();
    assert!(blocked_peers(&app, "bob").await.is_empty());
    app.send("alice", "bob", "hi").await;
    app.send("carol", "bob", "hi").await;
    for peer in ["alice", "stranger", "forgiven"] {
        app.flag(Method::PUT, "bob", peer, "block").await;
    }
    app.clear("bob", "alice").await;
    app.flag(Method::DELETE, "bob", "forgiven", "block").await;
    app.flag(Method::PUT, "carol", "bob", "block").await;
    let expected = ["alice", "stranger"].map(str::to_owned);
    assert_eq!(blocked_peers(&app, "bob").await, expected.into());
    let export = app.get("/users/bob/export").await.text;
    for (peer, blocked) in [("alice", true), ("stranger", true), ("carol", false)] {
        let line = format!(r#"{{"conversation":{{"peer":"{peer}","blocked":{blocked},"#);
        assert!(export.contains(&line), "{line} in {export}");
    }
}

#[tokio::test]
async fn a_long_list_of_blocks_has_pages() {
    let app = spawn_app();
    let mut redis = app.redis();
    let [_, rows, _] = lua::keys_of_user("bob");
    for n in 0..3000 {
        let flags = if n % 2 == 0 { "01000" } else { "00000" };
        let row = format!("1768564800000000|0||0|{flags}|0|0|0|0");
        redis
            .hset::<_, _, _, ()>(&rows, format!("peer-{n}"), row)
            .unwrap();
    }
    let first = app.get("/users/bob/blocks").await.json(200);
    assert!(first["next_cursor"].is_string());
    assert_eq!(blocked_peers(&app, "bob").await.len(), 1500);
    for wrong in ["x", "-1", "1.5", "", "18446744073709551616"] {
        let refused = app.get(&format!("/users/bob/blocks?cursor={wrong}")).await;
        refused.problem(400, "INVALID_REQUEST");
    }
}
