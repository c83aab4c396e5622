//! `client_id`: the id that a client gives to its message.

use reqwest::Method;
use serde_json::{Value, json};

use super::send::message;
use crate::harness::live::device::Device;
use crate::harness::live::resume::kinds;
use crate::harness::{conversations::message_path, spawn_app};

#[tokio::test]
async fn a_client_id_is_stored_answered_and_in_every_event() {
    let app = spawn_app();
    let mut phone = Device::connect(&app, "alice").await;
    let mut friend = Device::connect(&app, "bob").await;
    let id = r#"tmp "1" \ "body":" é🦊"#;
    let given = message(&json!({"client_id": id}));
    let sent = app.post(&given).await.json(201);
    assert_eq!(sent["client_id"], id);
    app.edit("alice", "bob", 1, &json!({"body": "edited"}))
        .await
        .json(200);
    app.react(Method::PUT, ["bob", "alice"], 1, "👍").await;
    let tombstone = app.delete("alice", "bob", 1).await.json(200);
    assert_eq!(
        (&tombstone["client_id"], &tombstone["body"]),
        (&json!(id), &json!(""))
    );
    for device in [&mut phone, &mut friend] {
        let is_last = |event: &Value| event["type"] == "message.deleted";
        let mut events = device.events_until(is_last).await;
        // The peer has just come online, which this device may learn at any time.
        events.retain(|event| event["type"] != "presence.changed");
        let expected =
            ["created", "updated", "updated", "deleted"].map(|kind| format!("message.{kind}"));
        assert_eq!(kinds(&events), expected);
        for event in events {
            assert_eq!(event["message"]["client_id"], id, "{event}");
        }
    }
    let read = app.read("bob", "alice").await;
    assert_eq!(read["history"], json!([tombstone]));
    let without = app.post(&message(&json!({"client_id": null}))).await;
    assert_eq!(without.json(201).get("client_id"), None);
}

#[tokio::test]
async fn a_client_id_is_the_key_of_a_request_without_one() {
    let app = spawn_app();
    let first = message(&json!({"client_id": "c-1"}));
    let sent = app.post(&first).await.json(201);
    let again = app.post(&first).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json(200), sent);
    let other = message(&json!({"client_id": "c-1", "body": "other"}));
    let refused = app.post(&other).await;
    refused.problem(422, "IDEMPOTENCY_KEY_REUSED");
    refused.invalid_field("/client_id");
    // The header takes precedence as the key.
    let by_header = app.send_with_key("k", &other).await.json(201);
    assert_eq!(by_header["client_id"], "c-1");
    let again = app.send_with_key("k", &other).await;
    assert_eq!(again.json(200), by_header);
    let mut device = Device::connect(&app, "alice").await;
    let command = json!({"type": "send", "to": "bob", "body": "Hi", "client_id": "c-1"});
    let answer = device.ask(&command).await;
    assert_eq!(
        (&answer["replayed"], &answer["message"]),
        (&json!(true), &sent)
    );
    let command = json!({"type": "send", "to": "bob", "body": "x", "client_id": "c-1"});
    let answer = device.ask(&command).await;
    assert_eq!(answer["problem"]["errors"][0]["pointer"], "/client_id");
}

#[tokio::test]
async fn client_ids_have_1_to_64_printable_characters() {
    let app = spawn_app();
    let longest = "é".repeat(64);
    for id in ["0", "a b", "7f9c2ba4-e88f", "tmp:1|x", "日本", &longest] {
        let sent = app.post(&message(&json!({"client_id": id}))).await;
        assert_eq!(sent.json(201)["client_id"], id);
    }
    let too_long = "x".repeat(65);
    for id in [
        "",
        "\n",
        "a\tb",
        "\u{0}",
        "a\u{7f}",
        "\u{85}",
        "a\u{200b}",
        "\u{202e}",
        "\u{2028}",
        "\u{e000}",
        &too_long,
    ] {
        let refused = app.post(&message(&json!({"client_id": id}))).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field("/client_id");
    }
    for other in [json!(7), json!(["x"]), json!({})] {
        let refused = app.post(&message(&json!({"client_id": other}))).await;
        refused.invalid_field("/client_id");
    }
    let edit = json!({"body": "x", "client_id": "y"});
    let path = message_path("alice", "bob", 1);
    let refused = app.call("PATCH", &path, &[], Some(&edit)).await;
    refused.invalid_field("/client_id");
}
