//! Two people and an app: its two screens, the inbox and the conversation, drawn and kept true by
//! these calls alone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, conversations::message_path, seqs, spawn_app};

const THUMB: &str = "👍";

/// The inbox as a phone shows it: for each conversation who, what was said last, and the badge.
async fn inbox_screen(app: &TestApp, user: &str) -> Vec<String> {
    let inbox = app.inbox(user, "").await;
    let line = |row: &Value| {
        let last = &row["last_message"];
        let body = last["body"].as_str().unwrap();
        let deleted = last.get("deleted_at").is_some();
        let words = if deleted { "(deleted)" } else { body };
        let badge = match row["unread_count"].as_u64().unwrap() {
            0 => String::new(),
            unread => format!(" ({unread})"),
        };
        let signs = [("muted", " [muted]"), ("blocked", " [blocked]")];
        let signs = signs.map(|(flag, sign)| if row[flag] == true { sign } else { "" });
        format!(
            "{}: {words}{badge}{}",
            row["peer"].as_str().unwrap(),
            signs.concat()
        )
    };
    let rows = inbox["conversations"].as_array().unwrap();
    rows.iter().map(line).collect()
}

/// The ticks beside a message of one's own: sent, delivered, read.
async fn ticks(app: &TestApp, user: &str, peer: &str, seq: u64) -> &'static str {
    let inbox = app.inbox(user, "").await;
    let rows = inbox["conversations"].as_array().unwrap();
    let row = rows.iter().find(|row| row["peer"] == peer).unwrap();
    match (&row["peer_read_seq"], &row["peer_delivered_seq"]) {
        (read, _) if read.as_u64() >= Some(seq) => "read",
        (_, delivered) if delivered.as_u64() >= Some(seq) => "delivered",
        _ => "sent",
    }
}

/// Edits a message as it was seen, and as nothing else.
async fn edit_as_seen(app: &TestApp, seen: &ApiResponse, body: &str) -> ApiResponse {
    let message = seen.json(200);
    let name = |member: &str| message[member].as_str().unwrap();
    let path = message_path(name("from"), name("to"), message["seq"].as_u64().unwrap());
    let request = app.client.patch(format!("{}{path}", app.address));
    let request = request.header("if-match", seen.header("etag"));
    ApiResponse::read(request.json(&json!({"body": body})).send().await.unwrap()).await
}

#[tokio::test]
async fn the_documented_calls_suffice_for_an_apps_two_screens() {
    let app = spawn_app();

    // Alice writes to bob, whose train is in a tunnel: her app does not know whether it arrived,
    // and sends it again with the same key.
    let question = json!({"from": "alice", "to": "bob", "body": "Lunch at one?"});
    let first = app.send_with_key("tap-1", &question).await;
    let again = app.send_with_key("tap-1", &question).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.text, again.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
    app.send("carol", "bob", "Did you see the game?").await;

    // Bob's phone wakes: a badge from one number, and an inbox with the latest on top.
    assert_eq!(app.badge("bob").await, [2, 2]);
    let screen = inbox_screen(&app, "bob").await;
    assert_eq!(
        screen,
        [
            "carol: Did you see the game? (1)",
            "alice: Lunch at one? (1)"
        ]
    );
    assert_eq!(ticks(&app, "alice", "bob", 1).await, "sent");
    app.mark_delivered("bob", "alice", 1).await;
    assert_eq!(ticks(&app, "alice", "bob", 1).await, "delivered");

    // He opens the conversation: what is new is told, the badge shrinks, and alice sees two ticks.
    let opened = app.read("bob", "alice").await;
    assert_eq!(opened["history"], json!([first.json(201)]));
    assert_eq!(
        (&opened["unread_count"], &opened["unread"]),
        (&json!(1), &opened["history"])
    );
    assert_eq!(app.badge("bob").await, [1, 1]);
    assert_eq!(ticks(&app, "alice", "bob", 1).await, "read");

    // He reacts and replies; the reply names what it answers.
    let thumbed = app.react(Method::PUT, ["bob", "alice"], 1, THUMB).await;
    assert_eq!(thumbed.json(200)["reactions"], json!({THUMB: ["bob"]}));
    let reply = json!({"from": "bob", "to": "alice", "body": "Two?", "reply_to": 1});
    assert_eq!(app.post(&reply).await.json(201)["reply_to"], 1);
    assert_eq!(inbox_screen(&app, "alice").await, ["bob: Two? (1)"]);

    // Alice agrees, and corrects her question. Her tablet still shows the old text, and cannot
    // overwrite what her phone wrote.
    app.mark_read("alice", "bob", 2).await;
    let on_the_tablet = app.message("alice", "bob", 1).await;
    let on_the_phone = edit_as_seen(&app, &on_the_tablet, "Lunch at two?").await;
    let edited = on_the_phone.json(200);
    assert_eq!(edited["body"], "Lunch at two?");
    assert_eq!(edited["reactions"], json!({THUMB: ["bob"]}));
    assert!(edited["edited_at"].is_string());
    let too_late = edit_as_seen(&app, &on_the_tablet, "Lunch at three?").await;
    too_late.problem(412, "PRECONDITION_FAILED");

    // She says something she regrets before it is read: it is gone for both, and counts no more.
    app.send("alice", "bob", "Carol is not invited.").await;
    assert_eq!(app.badge("bob").await, [2, 2]);
    assert_eq!(app.delete("alice", "bob", 3).await.json(200)["body"], "");
    assert_eq!(app.badge("bob").await, [1, 1]);
    let screen = inbox_screen(&app, "bob").await;
    assert_eq!(
        screen,
        ["alice: (deleted)", "carol: Did you see the game? (1)"]
    );

    // Bob leaves carol's message for later, mutes her, and finally blocks her.
    app.read("bob", "carol").await;
    app.mark_unread("bob", "carol", 1).await;
    app.flag(Method::PUT, "bob", "carol", "mute").await;
    app.send("carol", "bob", "Hello??").await;
    assert_eq!(app.badge("bob").await, [2, 1], "muted is not uncounted");
    app.flag(Method::PUT, "bob", "carol", "block").await;
    let refused = json!({"from": "carol", "to": "bob", "body": "HELLO???"});
    app.post(&refused).await.problem(403, "BLOCKED");
    let screen = inbox_screen(&app, "bob").await;
    assert_eq!(
        screen,
        ["carol: Hello?? (2) [muted] [blocked]", "alice: (deleted)"]
    );

    // He clears the conversation with her: it leaves his inbox, and stays in hers.
    app.clear("bob", "carol").await;
    assert_eq!(inbox_screen(&app, "bob").await, ["alice: (deleted)"]);
    assert_eq!(app.badge("bob").await, [0, 0]);
    assert_eq!(inbox_screen(&app, "carol").await, ["bob: Hello??"]);

    // Both scroll up: to each the same story, to its first message.
    for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
        let page = app.page(user, peer, "around=2&limit=3&peek=true").await;
        assert_eq!(seqs(&page["history"]), [3, 2, 1]);
        assert_eq!(page["history"][2], edited);
        assert_eq!(page["next_before"], Value::Null);
    }
}
