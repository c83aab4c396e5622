//! Attachments as cameras, recorders and players describe them.

use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::send::message;
use crate::harness::{TestApp, keys, spawn_app};

/// Sends a message with an attachment of these members, and returns the attachment.
async fn attach(app: &TestApp, members: &Value) -> Value {
    let mut attachment = json!({"url": "https://files.example.com/1"});
    for (name, value) in members.as_object().unwrap() {
        attachment[name] = value.clone();
    }
    let given = message(&json!({"attachments": [attachment]}));
    let mut sent = app.post(&given).await.json(201);
    sent["attachments"][0].take()
}

#[tokio::test]
async fn media_types_may_have_parameters_and_are_kept_as_given() {
    let app = spawn_app();
    for kind in [
        "audio/ogg; codecs=opus",
        "audio/webm;codecs=opus",
        "video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"",
        "text/plain; charset=UTF-8; format=flowed",
        "image/svg+xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.apple.pkpass",
    ] {
        let kept = attach(&app, &json!({"mime_type": kind})).await;
        assert_eq!(kept["mime_type"], kind);
    }
}

#[tokio::test]
async fn fractions_of_a_millisecond_are_rounded() {
    let app = spawn_app();
    for (given, kept) in [
        (json!(2133.3333), json!(2133)),
        (json!(2133.5), json!(2134)),
        (json!(0.2), json!(0)),
        (json!(60e3), json!(60000)),
        (json!(7), json!(7)),
    ] {
        let attachment = attach(&app, &json!({"duration_ms": given})).await;
        assert_eq!(attachment["duration_ms"], kept, "{given}");
    }
}

#[tokio::test]
async fn media_types_with_other_characters_are_refused() {
    let app = spawn_app();
    let long = format!("a/{}+{}", "b".repeat(100), "c".repeat(27));
    for kind in [
        "a%b/c",
        "a/b'c",
        "text/plain; name=\"é\"",
        "text/plain; name=\"\\\n\"",
        "text/plain; name=\"\u{7}\"",
        &long,
    ] {
        let attachment = json!({"url": "https://files.example.com/1", "mime_type": kind});
        let message =
            json!({"from": "alice", "to": "bob", "body": "", "attachments": [attachment]});
        let refused = app.post(&message).await;
        refused.problem(400, "INVALID_REQUEST");
        refused.invalid_field("/attachments/0/mime_type");
    }
}

#[tokio::test]
async fn the_metadata_of_an_attachment_is_kept_as_given() {
    let app = spawn_app();
    let metadata = json!({"blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj", "waveform": [0, 12.5, 31], "z": {}, "a": null});
    let kept = attach(&app, &json!({"metadata": metadata})).await;
    assert_eq!(kept["metadata"].to_string(), metadata.to_string());
    let absent = json!({"metadata": null, "mime_type": null, "name": null, "size": null,
        "width": null, "height": null, "duration_ms": null});
    let kept = attach(&app, &absent).await;
    assert_eq!(kept, json!({"url": "https://files.example.com/1"}));
}

#[tokio::test]
async fn what_a_newer_version_has_stored_is_read() {
    let app = spawn_app();
    attach(&app, &json!({"name": "menu.jpg"})).await;
    let [messages, _] = keys("alice", "bob");
    let mut redis = app.redis();
    let stored: String = redis.lindex(&messages, 0).unwrap();
    let newer = stored.replace(r#""name":"#, r#""later":[1],"name":"#);
    let newer = newer.strip_suffix('}').unwrap();
    let newer = format!(r#"{newer},"reactions":{{"an emoji to come":["bob"]}}}}"#);
    redis.lset::<_, _, ()>(&messages, 0, &newer).unwrap();
    let edited = app.edit("alice", "bob", 1, &json!({"body": "new"})).await;
    assert_eq!(edited.json(200)["attachments"][0]["name"], "menu.jpg");
    let reacted = app.react(Method::PUT, ["alice", "bob"], 1, "👍").await;
    let expected = json!({"an emoji to come": ["bob"], "👍": ["alice"]});
    assert_eq!(reacted.json(200)["reactions"], expected);
    // A client may not send it.
    let attachment = json!({"url": "https://files.example.com/1", "later": [1]});
    let given = message(&json!({"attachments": [attachment]}));
    app.post(&given).await.invalid_field("/attachments/0/later");
    let edit = json!({"attachments": [attachment]});
    let refused = app.edit("alice", "bob", 1, &edit).await;
    refused.invalid_field("/attachments/0/later");
}
