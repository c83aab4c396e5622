//! Two services that are asked the same: one with all messages in Redis, and one with an archive.

use serde_json::{Value, json};

use crate::harness::archive::{ArchivedApp, normalized, pair, spawn_archived_with};
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app_with};

pub struct Twins {
    pub plain: TestApp,
    pub archived: ArchivedApp,
}

impl Twins {
    pub fn spawn() -> Self {
        Self::spawn_with(&[])
    }

    pub fn spawn_with(settings: &[&str]) -> Self {
        Self {
            plain: spawn_app_with(settings),
            archived: spawn_archived_with(settings),
        }
    }

    /// Twins with so many messages of alice and bob, every third one from bob, of which older ones are in the archive.
    pub async fn with_messages(count: u64) -> Self {
        let twins = Self::spawn();
        twins.send(count, |seq| format!("message {seq}")).await;
        twins
    }

    /// Sends messages in both, and archives.
    pub async fn send(&self, count: u64, body: impl Fn(u64) -> String) {
        for seq in 1..=count {
            let (from, to) = if seq % 3 == 0 {
                ("bob", "alice")
            } else {
                ("alice", "bob")
            };
            let message = json!({"from": from, "to": to, "body": body(seq)});
            self.same("POST", "/messages", &[], Some(&message)).await;
        }
        self.archived.archive(&pair("alice", "bob")).await;
    }

    /// Asks both, and compares the answers. Returns that of the service with the archive.
    pub async fn same(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> ApiResponse {
        let plain = self.plain.call(method, path, headers, body).await;
        let archived = self.archived.call(method, path, headers, body).await;
        assert_eq!(
            archived.status, plain.status,
            "{method} {path}: {archived:?}"
        );
        let [plain, got] = [&plain, &archived].map(|answer| normalized(&json_of(answer)));
        assert_eq!(got, plain, "{method} {path}");
        archived
    }

    pub async fn same_get(&self, path: &str) -> Value {
        json_of(&self.same("GET", path, &[], None).await)
    }
}

fn json_of(answer: &ApiResponse) -> Value {
    serde_json::from_str(&answer.text).unwrap_or(Value::Null)
}
