//! Exports and imports of messages that expire.

use serde_json::json;

use super::{outlive, scheduled, send_expiring, tombstone, wait_until_deleted};
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app};

pub async fn import(app: &TestApp, lines: &str) -> ApiResponse {
    let headers = [("content-type", "application/x-ndjson")];
    app.call_text("POST", "/messages/batch", &headers, lines.to_owned())
        .await
}

#[tokio::test]
async fn an_export_of_expiring_messages_can_be_imported() {
    let (from, to) = (spawn_app(), spawn_app());
    send_expiring(&from, "deleted", 60).await;
    from.delete("alice", "bob", 1).await.json(200);
    let sent = send_expiring(&from, "secret", 3).await;
    let before = from.get("/users/alice/export").await.text;
    assert_eq!(import(&to, &before).await.json(200)["imported"], 2);
    assert_eq!(to.message("bob", "alice", 2).await.json(200), sent);
    outlive(&sent).await;
    wait_until_deleted(&to, 2).await;
    assert_eq!(
        to.message("bob", "alice", 2).await.json(200),
        tombstone(&sent)
    );
    let after = from.get("/users/alice/export").await.text;
    for export in [&before, &after] {
        let again = json!({"imported": 0, "skipped": 2});
        assert_eq!(import(&to, export).await.json(200), again);
        let fresh = spawn_app();
        assert_eq!(import(&fresh, export).await.json(200)["imported"], 2);
        assert!(!fresh.texts().contains("secret"), "its time is over");
        let history = to.peek("bob", "alice").await["history"].clone();
        assert_eq!(fresh.peek("bob", "alice").await["history"], history);
        assert_eq!(scheduled(&fresh), [""; 0]);
    }
}

#[tokio::test]
async fn an_imported_time_is_after_the_message_and_within_90_days() {
    let app = spawn_app();
    let line = |expires_at: &str| json!({"from": "alice", "to": "bob", "body": "x", "sent_at": "2019-01-31T00:00:00Z", "expires_at": expires_at});
    for wrong in [
        "2019-01-30T00:00:00Z",
        "2019-01-31T00:00:00Z",
        "2019-05-02T00:00:01Z",
        "soon",
    ] {
        let refused = import(&app, &line(wrong).to_string()).await;
        let refused = refused.problem(400, "INVALID_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], "/0/expires_at", "{wrong}");
    }
    let longest = line("2019-05-01T00:00:00Z").to_string();
    assert_eq!(import(&app, &longest).await.json(200)["imported"], 1);
    let message = app.message("bob", "alice", 1).await.json(200);
    assert_eq!(message["deleted_at"], "2019-05-01T00:00:00.000Z");
}
