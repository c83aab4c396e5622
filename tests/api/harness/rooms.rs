//! Calls that read and change rooms and their members.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, eventually};

impl TestApp {
    /// Creates or changes a room, on a service without credentials.
    pub async fn set_room(&self, room: &str, settings: &Value) -> ApiResponse {
        self.ask(Method::PUT, &format!("/rooms/{room}"), settings)
            .await
    }

    /// Creates an open room with these members.
    pub async fn open_room(&self, room: &str, members: &[&str]) -> Value {
        let settings = json!({"join": "open", "members": members});
        self.set_room(room, &settings).await.json(201)
    }

    pub async fn delete_room(&self, room: &str) -> ApiResponse {
        self.request(Method::DELETE, &format!("/rooms/{room}"))
            .await
    }

    /// Adds a user to a room, or sets its role.
    pub async fn set_member(&self, room: &str, user: &str, role: &str) -> ApiResponse {
        let path = format!("/rooms/{room}/members/{user}");
        self.ask(Method::PUT, &path, &json!({"role": role})).await
    }

    pub async fn remove_member(&self, room: &str, user: &str) -> ApiResponse {
        let path = format!("/rooms/{room}/members/{user}");
        self.request(Method::DELETE, &path).await
    }

    /// The members of a room, each as `user:role`.
    pub async fn members(&self, room: &str) -> Vec<String> {
        let page = self.get(&format!("/rooms/{room}/members?limit=200")).await;
        names(&page.json(200))
    }

    /// Waits until the events of all rooms are filed in the inboxes of their members.
    pub async fn all_filed(&self) {
        let filed = async || {
            let mut redis = self.redis();
            let leases: Vec<String> = redis::cmd("KEYS")
                .arg("*:lease:room:*")
                .query(&mut redis)
                .unwrap();
            leases.is_empty()
        };
        eventually("everything is filed", Duration::from_secs(15), filed).await;
    }

    /// Waits until the inbox of a user lists exactly these peers, in any order.
    pub async fn lists(&self, user: &str, peers: &[&str]) {
        let what = format!("{user} sees {peers:?}");
        eventually(&what, Duration::from_secs(10), async || {
            let inbox = self.inbox(user, "").await;
            let rows = inbox["conversations"].as_array().unwrap().iter();
            let mut listed: Vec<_> = rows.map(|row| row["peer"].as_str().unwrap()).collect();
            listed.sort_unstable();
            listed == peers
        })
        .await;
    }
}

/// The members of a page, each as `user:role`.
pub fn names(page: &Value) -> Vec<String> {
    let members = page["members"].as_array().unwrap().iter();
    let name = |member: &Value| {
        let [user, role] = ["user", "role"].map(|name| member[name].as_str().unwrap());
        format!("{user}:{role}")
    };
    members.map(name).collect()
}
