//! Changes of messages that are in the archive.

use serde_json::{Value, json};

use super::twins::Twins;
use crate::harness::archive::pair;

fn path(seq: u64) -> String {
    format!("/conversations/alice/bob/messages/{seq}")
}

#[tokio::test]
async fn edits_replace_messages_of_the_archive() {
    let twins = Twins::with_messages(33).await;
    let before = twins.archived.objects();
    let edit = json!({"body": "edited"});
    twins
        .same("PATCH", &path(2), &[], Some(&edit))
        .await
        .json(200);
    assert_eq!(twins.same_get(&path(2)).await["body"], "edited");
    twins
        .same_get("/conversations/alice/bob?after=0&limit=5")
        .await;
    twins
        .same("PATCH", &path(3), &[], Some(&edit))
        .await
        .problem(403, "FORBIDDEN");
    twins
        .same("PATCH", &path(2), &[("if-match", "\"old\"")], Some(&edit))
        .await
        .problem(412, "PRECONDITION_FAILED");
    let tag = twins.archived.get(&path(4)).await.header("etag").to_owned();
    let edited = twins
        .archived
        .call("PATCH", &path(4), &[("if-match", &tag)], Some(&edit))
        .await;
    assert_eq!(edited.json(200)["body"], "edited");
    // The old objects are deleted later, because a reader may have their names.
    let objects = twins.archived.objects();
    assert!(before.iter().all(|object| objects.contains(object)));
    assert!(objects.len() >= before.len() + 2, "{objects:?}");
}

#[tokio::test]
async fn deleted_messages_of_the_archive_are_tombstones() {
    let twins = Twins::with_messages(33).await;
    let bob = "/conversations/bob";
    for seq in [2, 5, 20, 33] {
        let deleted = twins.same("DELETE", &path(seq), &[], None).await;
        let by_alice = seq % 3 != 0;
        assert_eq!(deleted.status, if by_alice { 200 } else { 403 });
        twins.same_get(bob).await;
    }
    twins.same("DELETE", &path(2), &[], None).await.json(200);
    twins
        .same_get("/conversations/alice/bob?after=0&limit=50")
        .await;
    let body = json!({"seq": 4});
    twins
        .same("PUT", "/conversations/bob/alice/read", &[], Some(&body))
        .await;
    twins.same_get(bob).await;
}

#[tokio::test]
async fn reactions_and_replies_reach_the_archive() {
    let twins = Twins::with_messages(33).await;
    for seq in [1, 9, 30] {
        let reply = json!({"from": "bob", "to": "alice", "body": "reply", "reply_to": seq});
        twins
            .same("POST", "/messages", &[], Some(&reply))
            .await
            .json(201);
    }
    for app in [&twins.plain, &twins.archived.app] {
        let reacted = app
            .react(reqwest::Method::PUT, ["bob", "alice"], 7, "👍")
            .await;
        assert_eq!(reacted.json(200)["reactions"], json!({"👍": ["bob"]}));
        let reacted = app
            .react(reqwest::Method::DELETE, ["bob", "alice"], 7, "👍")
            .await;
        assert_eq!(reacted.json(200)["reactions"], Value::Null);
    }
    twins.same_get(&path(7)).await;
}

#[tokio::test]
async fn a_repeated_send_finds_its_message_in_the_archive() {
    let twins = Twins::spawn();
    let headers = [("idempotency-key", "one")];
    let message = json!({"from": "alice", "to": "bob", "body": "first"});
    twins
        .same("POST", "/messages", &headers, Some(&message))
        .await
        .json(201);
    twins.send(30, |seq| format!("message {seq}")).await;
    assert!(twins.archived.hot(&pair("alice", "bob")) < 31);
    let again = twins
        .same("POST", "/messages", &headers, Some(&message))
        .await;
    assert_eq!(again.json(200)["seq"], 1);
    let other = json!({"from": "alice", "to": "bob", "body": "other"});
    let reused = twins
        .same("POST", "/messages", &headers, Some(&other))
        .await;
    reused.problem(422, "IDEMPOTENCY_KEY_REUSED");
    twins.same_get("/conversations/alice").await;
}

#[tokio::test]
async fn concurrent_changes_of_one_segment_lose_nothing() {
    let twins = Twins::with_messages(33).await;
    let app = &twins.archived;
    let emoji = ["👍", "❤️", "😀", "🎉", "👀", "🚀", "🙏"];
    let edits = [1, 2, 4, 5].map(|seq| (seq, None));
    let reactions = emoji.map(|emoji| (3, Some(emoji)));
    let changes = edits.into_iter().chain(reactions);
    let changes = changes.map(async |(seq, emoji)| match emoji {
        Some(emoji) => app
            .react(reqwest::Method::PUT, ["alice", "bob"], seq, emoji)
            .await
            .json(200),
        None => {
            let body = json!({"body": format!("edited {seq}")});
            app.edit("alice", "bob", seq, &body).await.json(200)
        }
    });
    futures_util::future::join_all(changes).await;
    for seq in [1, 2, 4, 5] {
        let message = app.message("bob", "alice", seq).await.json(200);
        assert_eq!(message["body"], format!("edited {seq}"));
    }
    let message = app.message("bob", "alice", 3).await.json(200);
    assert_eq!(message["reactions"].as_object().unwrap().len(), emoji.len());
}

#[tokio::test]
async fn messages_expire_in_the_archive() {
    let twins = Twins::spawn();
    let message = json!({"from": "alice", "to": "bob", "body": "short", "expires_in": 3});
    twins
        .same("POST", "/messages", &[], Some(&message))
        .await
        .json(201);
    twins.send(20, |seq| format!("message {seq}")).await;
    let expired = async || {
        let inbox = twins.archived.inbox("bob", "").await;
        inbox["conversations"][0]["unread_count"] == 14
    };
    crate::harness::eventually("it expires", std::time::Duration::from_secs(15), expired).await;
    let message = twins.archived.message("bob", "alice", 1).await.json(200);
    assert_eq!(message["body"], "");
    assert!(message["deleted_at"].is_string());
}
