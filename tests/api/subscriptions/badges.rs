//! What `badge.changed` says.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::live::presence::{age_presence, wait_online};
use crate::harness::{TestApp, spawn_app, spawn_app_with};

/// A service with a subscription to badges.
async fn spawn_subscribed() -> TestApp {
    let app = spawn_app();
    app.subscribe_to_badges("push").await;
    app
}

/// The only new badge.
async fn one_badge(app: &TestApp) -> Value {
    app.all_filed().await;
    let badges = app.new_badges("push").await;
    assert_eq!(badges.len(), 1, "{badges:?}");
    badges[0].clone()
}

/// Some members of a badge.
fn members(badge: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| badge[name].clone()).collect()
}

#[tokio::test]
async fn a_message_and_its_reading_change_the_badge() {
    let app = spawn_subscribed().await;
    let sent = app.send("alice", "bob", "hi").await;
    let expected = json!({
        "user": "bob", "total_unread_count": 1, "unread_conversations": 1, "muted_unread_count": 0, "peer": "alice",
        "unread_count": 1, "muted": false, "online": false, "mentioned": false, "cause": "message.created",
        "message": sent,
    });
    assert_eq!(one_badge(&app).await, expected);
    app.mark_read("bob", "alice", 1).await;
    let read = json!({
        "user": "bob", "total_unread_count": 0, "unread_conversations": 0, "muted_unread_count": 0, "peer": "alice",
        "unread_count": 0, "muted": false, "online": false, "mentioned": false, "cause": "conversation.read",
    });
    assert_eq!(one_badge(&app).await, read);
    app.mark_read("bob", "alice", 1).await;
    app.mark_read("alice", "bob", 1).await;
    assert_eq!(app.new_badges("push").await, [] as [Value; 0]);
}

#[tokio::test]
async fn everything_that_moves_a_total_changes_the_badge() {
    let app = spawn_subscribed().await;
    let expect = async |total: u64, muted: u64, cause: &str| {
        let badge = one_badge(&app).await;
        let counts = members(
            &badge,
            &["total_unread_count", "muted_unread_count", "cause"],
        );
        assert_eq!(counts, json!([total, muted, cause]));
        let unread = app.totals("bob").await;
        assert_eq!(unread["total_unread_count"], total);
        assert_eq!(unread["muted_unread_count"], muted);
    };
    for total in 1..=3 {
        app.send("alice", "bob", "hi").await;
        expect(total, 0, "message.created").await;
    }
    app.delete("alice", "bob", 2).await.json(200);
    expect(2, 0, "message.deleted").await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    expect(2, 2, "conversation.changed").await;
    app.flag(Method::PUT, "bob", "alice", "block").await;
    expect(0, 0, "conversation.changed").await;
    app.flag(Method::DELETE, "bob", "alice", "block").await;
    expect(2, 2, "conversation.changed").await;
    app.flag(Method::DELETE, "bob", "alice", "mute").await;
    expect(2, 0, "conversation.changed").await;
    app.mark_read("bob", "alice", 3).await;
    expect(0, 0, "conversation.read").await;
    app.mark_unread("bob", "alice", 3).await;
    expect(1, 0, "conversation.changed").await;
    app.clear("bob", "alice").await;
    expect(0, 0, "conversation.changed").await;
}

#[tokio::test]
async fn a_muted_conversation_counts_and_says_so() {
    let app = spawn_subscribed().await;
    app.send("bob", "alice", "hi").await;
    one_badge(&app).await;
    app.flag(Method::PUT, "bob", "alice", "mute").await;
    app.send("alice", "bob", "quiet").await;
    let badge = one_badge(&app).await;
    let told = ["user", "muted", "muted_unread_count", "cause"];
    let expected = json!(["bob", true, 1, "message.created"]);
    assert_eq!(members(&badge, &told), expected);
}

#[tokio::test]
async fn a_message_to_a_room_reaches_each_member() {
    let app = spawn_subscribed().await;
    app.open_room("general", &["alice", "bob", "carol"]).await;
    let message =
        json!({"from": "alice", "to": "room:general", "body": "@carol", "mentions": ["carol"]});
    let sent = app.post(&message).await.json(201);
    app.all_filed().await;
    let mut badges = app.new_badges("push").await;
    badges.sort_by_key(|badge| badge["user"].to_string());
    let told = ["user", "peer", "total_unread_count", "mentioned", "cause"];
    let told: Vec<_> = badges.iter().map(|badge| members(badge, &told)).collect();
    let expected = [
        json!(["bob", "room:general", 1, false, "message.created"]),
        json!(["carol", "room:general", 1, true, "message.created"]),
    ];
    assert_eq!(told, expected);
    assert_eq!(badges[1]["message"], sent);
    app.mark_read("carol", "room:general", 1).await;
    assert_eq!(one_badge(&app).await["cause"], "conversation.read");
    assert_eq!(app.remove_member("general", "bob").await.status, 204);
    let left = members(&one_badge(&app).await, &["user", "unread_count", "cause"]);
    assert_eq!(left, json!(["bob", 0, "room.left"]));
}

#[tokio::test]
async fn only_mentions_of_the_message_mention() {
    let app = spawn_subscribed().await;
    app.open_room("general", &["alice", "bob"]).await;
    let to_room = |extra: Value| {
        let mut message =
            json!({"from": "alice", "to": "room:general", "body": r#","mentions":["bob"]"#});
        message
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        message
    };
    let attachment = json!({"url": "https://example.com/a", "mime_type": "a/b", "size": 1, "metadata": {"a": 1, "mentions": ["bob"]}});
    for (extra, mentioned) in [
        (json!({}), false),
        (json!({"metadata": {"a": 1, "mentions": ["bob"]}}), false),
        (json!({"attachments": [attachment]}), false),
        (json!({"mentions": ["bobby", "alice"]}), false),
        (json!({"mentions": ["alice", "bob"]}), true),
    ] {
        app.post(&to_room(extra.clone())).await.json(201);
        assert_eq!(one_badge(&app).await["mentioned"], mentioned, "{extra}");
    }
}

#[tokio::test]
async fn each_message_that_is_filed_with_others_has_a_badge() {
    let app = spawn_subscribed().await;
    app.open_room("general", &["alice", "bob"]).await;
    let sends = (0..30).map(async |n: u64| app.send("alice", "room:general", &n.to_string()).await);
    futures_util::future::join_all(sends).await;
    app.all_filed().await;
    let badges = app.new_badges("push").await;
    let seqs = badges
        .iter()
        .map(|badge| badge["message"]["seq"].as_u64().unwrap());
    assert!(seqs.eq(1..=30), "{badges:?}");
    assert_eq!(badges[29]["total_unread_count"], 30);
}

#[tokio::test]
async fn a_new_message_has_a_badge_although_no_total_moves() {
    let app = spawn_app_with(&["--history-limit", "1"]);
    app.subscribe_to_badges("push").await;
    for n in 0..3 {
        let sent = app.send("alice", "bob", &n.to_string()).await;
        let badge = one_badge(&app).await;
        assert_eq!(badge["total_unread_count"], 1);
        assert_eq!(badge["message"], sent);
    }
}

#[tokio::test]
async fn a_badge_says_whether_its_user_is_online() {
    let app = spawn_subscribed().await;
    let device = Device::connect(&app, "bob").await;
    wait_online(&app, "bob", true).await;
    app.send("alice", "bob", "hi").await;
    assert_eq!(one_badge(&app).await["online"], true);
    // As if the process had died: nobody renews the presence.
    age_presence(&mut app.redis(), "bob", 41);
    app.send("alice", "bob", "hi").await;
    assert_eq!(one_badge(&app).await["online"], false);
    drop(device);
}

#[tokio::test]
async fn the_badge_of_an_erased_user_ends_at_zero() {
    let app = spawn_subscribed().await;
    app.open_room("general", &["alice", "bob"]).await;
    for to in ["bob", "room:general", "carol"] {
        app.send("alice", to, "secret").await;
    }
    app.send("carol", "bob", "hi").await;
    app.all_filed().await;
    app.new_badges("push").await;
    for (user, others) in [("bob", None), ("alice", Some("carol"))] {
        let erased = app.request(Method::DELETE, &format!("/users/{user}")).await;
        assert_eq!(erased.json(200)["done"], true);
        app.all_filed().await;
        let badges = app.new_badges("push").await;
        for user in [Some(user), others].into_iter().flatten() {
            let last = badges.iter().rfind(|badge| badge["user"] == user);
            let last = last
                .map_or(&json!(0), |badge| &badge["total_unread_count"])
                .clone();
            assert_eq!(last, 0, "{user}: {badges:?}");
        }
        let text = json!(badges).to_string();
        assert!(!text.contains("secret"), "{text}");
    }
}
