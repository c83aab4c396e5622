//! The two screens of an app, inbox and conversation, drawn and updated by the documented calls
//! alone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, conversations::message_path, seqs, spawn_app};

const THUMB: &str = "👍";

/// The inbox screen: peer, last message and unread badge of each conversation.
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

/// The delivery status of an own message: sent, delivered, read.
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

/// Edits a message only if it is still the version that was seen.
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

    // Alice's app gets no response to a send and repeats it with the same key.
    let question = json!({"from": "alice", "to": "bob", "body": "Lunch at one?"});
    let first = app.send_with_key("tap-1", &question).await;
    let again = app.send_with_key("tap-1", &question).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.text, again.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
    app.send("carol", "bob", "Did you see the game?").await;

    // Bob's app starts: one request for the badge, one for the inbox, latest first.
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

    // Bob opens the conversation: he gets the unread messages, his badge shrinks, and alice sees
    // two ticks.
    let opened = app.read("bob", "alice").await;
    assert_eq!(opened["history"], json!([first.json(201)]));
    assert_eq!(
        (&opened["unread_count"], &opened["unread"]),
        (&json!(1), &opened["history"])
    );
    assert_eq!(app.badge("bob").await, [1, 1]);
    assert_eq!(ticks(&app, "alice", "bob", 1).await, "read");

    // Bob reacts and replies; the reply names its message.
    let thumbed = app.react(Method::PUT, ["bob", "alice"], 1, THUMB).await;
    assert_eq!(thumbed.json(200)["reactions"], json!({THUMB: ["bob"]}));
    let reply = json!({"from": "bob", "to": "alice", "body": "Two?", "reply_to": 1});
    assert_eq!(app.post(&reply).await.json(201)["reply_to"], 1);
    assert_eq!(inbox_screen(&app, "alice").await, ["bob: Two? (1)"]);

    // Alice edits her question. Her tablet still shows the old text and cannot overwrite the edit.
    app.mark_read("alice", "bob", 2).await;
    let on_the_tablet = app.message("alice", "bob", 1).await;
    let on_the_phone = edit_as_seen(&app, &on_the_tablet, "Lunch at two?").await;
    let edited = on_the_phone.json(200);
    assert_eq!(edited["body"], "Lunch at two?");
    assert_eq!(edited["reactions"], json!({THUMB: ["bob"]}));
    assert!(edited["edited_at"].is_string());
    let too_late = edit_as_seen(&app, &on_the_tablet, "Lunch at three?").await;
    too_late.problem(412, "PRECONDITION_FAILED");

    // Alice deletes an unread message: it is deleted for both and no longer counts.
    app.send("alice", "bob", "Carol is not invited.").await;
    assert_eq!(app.badge("bob").await, [2, 2]);
    assert_eq!(app.delete("alice", "bob", 3).await.json(200)["body"], "");
    assert_eq!(app.badge("bob").await, [1, 1]);
    let screen = inbox_screen(&app, "bob").await;
    assert_eq!(
        screen,
        ["alice: (deleted)", "carol: Did you see the game? (1)"]
    );

    // Bob marks carol's message as unread, mutes her, and finally blocks her.
    app.read("bob", "carol").await;
    app.mark_unread("bob", "carol", 1).await;
    app.flag(Method::PUT, "bob", "carol", "mute").await;
    app.send("carol", "bob", "Hello??").await;
    assert_eq!(
        app.badge("bob").await,
        [2, 1],
        "a muted conversation still counts"
    );
    app.flag(Method::PUT, "bob", "carol", "block").await;
    let refused = json!({"from": "carol", "to": "bob", "body": "HELLO???"});
    app.post(&refused).await.problem(403, "BLOCKED");
    let screen = inbox_screen(&app, "bob").await;
    assert_eq!(
        screen,
        ["carol: Hello?? (2) [muted] [blocked]", "alice: (deleted)"]
    );

    // Bob clears the conversation with carol: it leaves his inbox and stays in hers.
    app.clear("bob", "carol").await;
    assert_eq!(inbox_screen(&app, "bob").await, ["alice: (deleted)"]);
    assert_eq!(app.badge("bob").await, [0, 0]);
    assert_eq!(inbox_screen(&app, "carol").await, ["bob: Hello??"]);

    // Both scroll up and see the same messages, to the first one.
    for (user, peer) in [("alice", "bob"), ("bob", "alice")] {
        let page = app.page(user, peer, "around=2&limit=3&peek=true").await;
        assert_eq!(seqs(&page["history"]), [3, 2, 1]);
        assert_eq!(page["history"][2], edited);
        assert_eq!(page["next_before"], Value::Null);
    }
}
