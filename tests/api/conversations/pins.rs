//! Pinned conversations in the inbox.

use duologue::store::Keys;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::{create_conversations, peers};
use crate::harness::store::lua;
use crate::harness::{TestApp, spawn_app};

async fn pin(app: &TestApp, peer: &str, on: bool) {
    let pinned = app.patch("bob", peer, &json!({"pinned": on})).await;
    assert_eq!(pinned.json(200)["pinned"], on);
}

/// All pages of bob's inbox.
async fn all(app: &TestApp, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.inbox("bob", &format!("{query}{cursor}")).await;
        found.extend(peers(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn pinned_conversations_come_first_latest_message_first() {
    let app = spawn_app();
    create_conversations(&app, "bob", 5);
    for peer in ["peer-4", "peer-1", "peer-2"] {
        pin(&app, peer, true).await;
    }
    let order = ["peer-4", "peer-2", "peer-1", "peer-5", "peer-3"];
    assert_eq!(peers(&app.inbox("bob", "").await), order);
    app.send("bob", "peer-3", "hi").await;
    app.send("peer-1", "bob", "hi").await;
    let order = ["peer-1", "peer-4", "peer-2", "peer-3", "peer-5"];
    assert_eq!(peers(&app.inbox("bob", "").await), order);
    pin(&app, "peer-1", false).await;
    pin(&app, "peer-4", false).await;
    let order = ["peer-2", "peer-1", "peer-3", "peer-5", "peer-4"];
    assert_eq!(peers(&app.inbox("bob", "").await), order);
}

#[tokio::test]
async fn a_cleared_conversation_comes_back_pinned() {
    let app = spawn_app();
    create_conversations(&app, "bob", 3);
    pin(&app, "peer-1", true).await;
    app.clear("bob", "peer-1").await;
    assert_eq!(peers(&app.inbox("bob", "").await), ["peer-3", "peer-2"]);
    app.send("peer-1", "bob", "again").await;
    app.send("peer-2", "bob", "later").await;
    assert_eq!(
        peers(&app.inbox("bob", "").await),
        ["peer-1", "peer-2", "peer-3"]
    );
}

#[tokio::test]
async fn cursors_lead_from_pinned_conversations_to_the_others() {
    let app = spawn_app();
    create_conversations(&app, "bob", 30);
    for n in [3, 17, 28] {
        pin(&app, &format!("peer-{n}"), true).await;
        let archive = json!({"archived": true});
        for archived in [n, n - 1] {
            app.patch("bob", &format!("peer-{archived}"), &archive)
                .await
                .json(200);
        }
    }
    let others = (1..=30).rev().filter(|n| ![3, 17, 28].contains(n));
    let order: Vec<_> = [28, 17, 3].into_iter().chain(others).collect();
    let named = |numbers: &[i32]| {
        numbers
            .iter()
            .map(|n| format!("peer-{n}"))
            .collect::<Vec<_>>()
    };
    for limit in [1, 2, 3, 4, 29, 30] {
        assert_eq!(
            all(&app, &format!("limit={limit}")).await,
            named(&order),
            "{limit}"
        );
        let archived = all(&app, &format!("limit={limit}&archived=true")).await;
        assert_eq!(archived, named(&[28, 17, 3, 27, 16, 2]), "{limit}");
        let rest = all(
            &app,
            &format!("limit={limit}&archived=false&unread_only=true"),
        )
        .await;
        assert_eq!(rest.len(), 24, "{limit}");
    }
}

#[tokio::test]
async fn a_user_pins_at_most_100_conversations() {
    let app = spawn_app();
    create_conversations(&app, "bob", 1);
    // Conversations without messages count as well: a message would list them.
    for n in 0..100 {
        pin(&app, &format!("peer-{n}"), true).await;
    }
    let refused = app.patch("bob", "one-more", &json!({"pinned": true})).await;
    refused.problem(422, "TOO_MANY_PINNED");
    refused.invalid_field("/pinned");
    pin(&app, "peer-7", true).await;
    pin(&app, "peer-7", false).await;
    pin(&app, "one-more", true).await;
    let refused = app.patch("bob", "peer-7", &json!({"pinned": true})).await;
    refused.problem(422, "TOO_MANY_PINNED");
    // Neither does one that cannot be pinned change anything else, nor does an erasure leave a count.
    let both = json!({"pinned": true, "archived": true, "metadata": {"a": 1}});
    app.patch("bob", "peer-7", &both)
        .await
        .problem(422, "TOO_MANY_PINNED");
    let page = app.peek("bob", "peer-7").await;
    assert_eq!(
        (&page["archived"], &page["metadata"]),
        (&json!(false), &Value::Null)
    );
    app.request(Method::DELETE, "/users/bob").await.json(200);
    let rows: bool = app
        .redis()
        .exists(Keys::new().conversations("bob"))
        .unwrap();
    assert!(!rows);
    pin(&app, "peer-7", true).await;
}

#[tokio::test]
async fn an_inbox_of_many_conversations_is_read_in_short_steps() {
    let app = spawn_app();
    let [inbox, rows, _] = lua::keys_of_user("bob");
    let mut redis = app.redis();
    let mut fill = redis::pipe();
    for n in 0..12_000_u64 {
        let (peer, version) = (format!("peer-{n}"), 1_768_564_800_000_000 + n);
        let row = format!("{version}|0|0|0|00100|0|0|0|0");
        fill.hset(&rows, &peer, row).ignore();
        fill.zadd(&inbox, &peer, version).ignore();
    }
    fill.exec(&mut redis).unwrap();
    app.send("alice", "bob", "hi").await;
    app.send("peer-0", "bob", "hi").await;
    pin(&app, "alice", true).await;
    assert_eq!(peers(&app.inbox("bob", "limit=1").await), ["alice"]);
    let page = app.inbox("bob", "limit=3&archived=false").await;
    assert_eq!(
        peers(&page),
        ["alice", "peer-0"],
        "one page searches no further than 1,000"
    );
    assert!(page["next_cursor"].is_string());
    assert_eq!(
        all(&app, "limit=3&archived=false").await,
        ["alice", "peer-0"]
    );
}
