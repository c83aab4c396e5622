//! The live API on conversations whose older messages are in the archive.

use reqwest::Method;
use serde_json::{Value, json};

use super::twins::Twins;
use crate::harness::TestApp;
use crate::harness::archive::normalized;
use crate::harness::conversations::message_path;
use crate::harness::live::device::Device;

/// The devices of a user at both services.
struct Devices([Device; 2]);

impl Devices {
    async fn connect(twins: &Twins, user: &str) -> Self {
        let [plain, archived] = apps(twins).map(|app| Device::connect(app, user));
        Self([plain.await, archived.await])
    }

    /// Sends a command to both, and compares the answers. Returns that of the service with the archive.
    async fn ask(&mut self, command: &Value) -> Value {
        let [plain, archived] = &mut self.0;
        let (plain, archived) = (plain.ask(command).await, archived.ask(command).await);
        assert_eq!(normalized(&archived), normalized(&plain), "{command}");
        archived
    }

    /// Compares the next events of both. Returns that of the service with the archive.
    async fn next(&mut self) -> Value {
        let [plain, archived] = &mut self.0;
        let (plain, archived) = (plain.next().await, archived.next().await);
        assert_eq!(without_cursors(&archived), without_cursors(&plain));
        archived
    }
}

fn apps(twins: &Twins) -> [&TestApp; 2] {
    [&twins.plain, &twins.archived.app]
}

/// An event without what differs from service to service.
fn without_cursors(event: &Value) -> Value {
    let mut event = normalized(event);
    for cursor in ["cursor", "prev"] {
        event.as_object_mut().unwrap().remove(cursor);
    }
    event
}

#[tokio::test]
async fn commands_reach_the_archive() {
    let twins = Twins::with_messages(33).await;
    let mut bob = Devices::connect(&twins, "bob").await;
    for seq in [4, 12, 22] {
        let command = json!({"type": "delivered", "peer": "alice", "seq": seq});
        let marked = bob.ask(&command).await;
        assert_eq!(marked["conversation"]["peer"], "alice", "{marked}");
        let command = json!({"type": "read", "peer": "alice", "seq": seq});
        let marked = bob.ask(&command).await;
        assert_eq!(marked["conversation"]["read_seq"], seq, "{marked}");
    }
    let reply = json!({"type": "send", "to": "alice", "body": "reply", "reply_to": 2});
    assert_eq!(bob.ask(&reply).await["message"]["reply_to"], 2);
    let reply = json!({"type": "send", "to": "alice", "body": "reply", "reply_to": 99});
    assert_eq!(
        bob.ask(&reply).await["problem"]["code"],
        "REPLY_TO_NOT_FOUND"
    );
}

#[tokio::test]
async fn a_repeated_command_finds_its_message_in_the_archive() {
    let twins = Twins::spawn();
    let mut alice = Devices::connect(&twins, "alice").await;
    let send = json!({"type": "send", "to": "bob", "body": "first", "idempotency_key": "one"});
    let first = alice.ask(&send).await;
    twins.send(30, |seq| format!("message {seq}")).await;
    let again = alice.ask(&send).await;
    assert_eq!(again["message"], first["message"]);
    let other = json!({"type": "send", "to": "bob", "body": "other", "idempotency_key": "one"});
    let reused = alice.ask(&other).await;
    assert_eq!(reused["problem"]["code"], "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn devices_are_told_of_changes_in_the_archive() {
    let twins = Twins::with_messages(33).await;
    let mut bob = Devices::connect(&twins, "bob").await;
    let edit = json!({"body": "edited"});
    twins
        .same("PATCH", &message_path("alice", "bob", 2), &[], Some(&edit))
        .await
        .json(200);
    let event = bob.next().await;
    assert_eq!(event["type"], "message.updated");
    assert_eq!(event["message"]["body"], "edited");
    for app in apps(&twins) {
        let reacted = app.react(Method::PUT, ["alice", "bob"], 3, "👍").await;
        assert_eq!(reacted.status, 200, "{reacted:?}");
    }
    let event = bob.next().await;
    assert_eq!(event["message"]["reactions"], json!({"👍": ["alice"]}));
    twins
        .same("DELETE", &message_path("alice", "bob", 4), &[], None)
        .await
        .json(200);
    let event = bob.next().await;
    assert_eq!(event["type"], "message.deleted");
    assert_eq!(event["unread_count"], 21);
}

#[tokio::test]
async fn a_device_that_was_away_is_told_of_them_too() {
    let twins = Twins::with_messages(33).await;
    let [plain, archived] = Devices::connect(&twins, "bob").await.0;
    let cursors = [&plain, &archived].map(|device| device.hello["cursor"].clone());
    drop([plain, archived]);
    let edit = json!({"body": "edited"});
    twins
        .same("PATCH", &message_path("alice", "bob", 2), &[], Some(&edit))
        .await
        .json(200);
    twins
        .same("DELETE", &message_path("alice", "bob", 5), &[], None)
        .await
        .json(200);
    let [plain, archived] = apps(&twins);
    let [of_plain, of_archived] = cursors.each_ref().map(|cursor| cursor.as_str().unwrap());
    let mut bob = Devices([
        Device::connect_at(plain, "bob", of_plain).await,
        Device::connect_at(archived, "bob", of_archived).await,
    ]);
    assert_eq!(bob.next().await["message"]["body"], "edited");
    assert_eq!(bob.next().await["type"], "message.deleted");
}
