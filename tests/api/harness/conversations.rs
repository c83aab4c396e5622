//! Calls that read and change a conversation, its messages and the inbox.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, eventually};

impl TestApp {
    /// Sends a receipt; `what` is the last segment of the path.
    async fn mark(&self, method: Method, user: &str, peer: &str, what: &str, seq: u64) -> Value {
        let path = format!("/conversations/{user}/{peer}/{what}");
        let answer = self.ask(method, &path, &json!({"seq": seq})).await;
        answer.json(200)
    }

    pub async fn mark_read(&self, user: &str, peer: &str, seq: u64) -> Value {
        self.mark(Method::PUT, user, peer, "read", seq).await
    }

    pub async fn mark_delivered(&self, user: &str, peer: &str, seq: u64) -> Value {
        self.mark(Method::PUT, user, peer, "delivered", seq).await
    }

    pub async fn mark_unread(&self, user: &str, peer: &str, seq: u64) -> Value {
        self.mark(Method::POST, user, peer, "unread", seq).await
    }

    pub async fn clear(&self, user: &str, peer: &str) -> Value {
        let path = format!("/conversations/{user}/{peer}");
        self.request(Method::DELETE, &path).await.json(200)
    }

    /// Sets (`PUT`) or clears (`DELETE`) a flag: `block` or `mute`.
    pub async fn flag(&self, method: Method, user: &str, peer: &str, flag: &str) -> Value {
        let path = format!("/conversations/{user}/{peer}/{flag}");
        self.request(method, &path).await.json(200)
    }

    /// Changes the settings of a user in a conversation.
    pub async fn patch(&self, user: &str, peer: &str, patch: &Value) -> ApiResponse {
        let path = format!("/conversations/{user}/{peer}");
        self.ask(Method::PATCH, &path, patch).await
    }

    /// A message as `user` sees it.
    pub async fn message(&self, user: &str, peer: &str, seq: u64) -> ApiResponse {
        self.get(&message_path(user, peer, seq)).await
    }

    pub async fn edit(&self, user: &str, peer: &str, seq: u64, edit: &Value) -> ApiResponse {
        let path = message_path(user, peer, seq);
        self.ask(Method::PATCH, &path, edit).await
    }

    pub async fn delete(&self, user: &str, peer: &str, seq: u64) -> ApiResponse {
        let path = message_path(user, peer, seq);
        self.request(Method::DELETE, &path).await
    }

    /// Adds (`PUT`) or removes (`DELETE`) a reaction.
    pub async fn react(
        &self,
        method: Method,
        [user, peer]: [&str; 2],
        seq: u64,
        emoji: &str,
    ) -> ApiResponse {
        let path = message_path(user, peer, seq);
        self.request(method, &format!("{path}/reactions/{emoji}"))
            .await
    }

    /// Reads a page of the inbox with a query string.
    pub async fn inbox(&self, user: &str, query: &str) -> Value {
        let path = format!("/conversations/{user}?{query}");
        self.get(&path).await.json(200)
    }

    /// The unread totals of a user.
    pub async fn totals(&self, user: &str) -> Value {
        self.get(&format!("/users/{user}/unread")).await.json(200)
    }

    /// Waits until a user has this many unread messages. Meanwhile requests may fail.
    pub async fn unread_becomes(&self, user: &str, count: u64, within: Duration) {
        let what = format!("{user} has {count} unread messages");
        let path = format!("/users/{user}/unread");
        let becomes = async || {
            let totals = self.get(&path).await;
            totals.status == 200 && totals.json(200)["total_unread_count"] == count
        };
        eventually(&what, within, becomes).await;
    }

    /// The unread totals of a user: messages, and conversations that have any.
    pub async fn badge(&self, user: &str) -> [u64; 2] {
        let totals = self.totals(user).await;
        ["total_unread_count", "unread_conversations"].map(|name| totals[name].as_u64().unwrap())
    }
}

pub fn message_path(user: &str, peer: &str, seq: u64) -> String {
    format!("/conversations/{user}/{peer}/messages/{seq}")
}
