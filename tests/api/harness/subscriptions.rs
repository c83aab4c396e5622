//! Subscriptions: making one, taking and acknowledging events.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::TestApp;

impl TestApp {
    /// Creates a subscription, which must not exist.
    pub async fn subscribe(&self, name: &str, settings: &Value) -> Value {
        let path = format!("/subscriptions/{name}");
        self.ask(Method::PUT, &path, settings).await.json(201)
    }

    /// Deletes a subscription, which must exist.
    pub async fn unsubscribe(&self, name: &str) {
        let path = format!("/subscriptions/{name}");
        assert_eq!(self.request(Method::DELETE, &path).await.status, 204);
    }

    /// What the service says of a subscription.
    pub async fn subscription(&self, name: &str) -> Value {
        self.get(&format!("/subscriptions/{name}")).await.json(200)
    }

    /// The events that a consumer is given.
    pub async fn take(&self, name: &str, consumer: &str) -> Vec<Value> {
        self.take_with(name, &format!("consumer={consumer}&limit=500"))
            .await
    }

    /// The same with any query.
    pub async fn take_with(&self, name: &str, query: &str) -> Vec<Value> {
        let path = format!("/subscriptions/{name}/events?{query}");
        let page = self.get(&path).await.json(200);
        page["events"].as_array().unwrap().clone()
    }

    /// Acknowledges events.
    pub async fn ack(&self, name: &str, consumer: &str, events: &[Value]) -> Value {
        let ids: Vec<_> = events.iter().map(|event| &event["id"]).collect();
        let body = json!({"consumer": consumer, "ids": ids});
        let path = format!("/subscriptions/{name}/ack");
        self.ask(Method::POST, &path, &body).await.json(200)
    }

    /// Takes and acknowledges until nothing is left.
    pub async fn drain(&self, name: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let events = self.take(name, "default").await;
            if events.is_empty() {
                return all;
            }
            self.ack(name, "default", &events).await;
            all.extend(events);
        }
    }

    /// Uses every operation on a subscription.
    pub async fn use_subscription(&self, name: &str) {
        self.subscribe(name, &json!({})).await;
        self.send("alice", "carol", "for subscribers").await;
        let taken = self.take(name, "default").await;
        assert_eq!(taken.len(), 1);
        self.take(name, "default").await;
        self.subscription(name).await;
        let path = format!("/subscriptions/{name}/seek");
        let seek = json!({"to": "2026-01-31T12:00:00Z"});
        self.ask(Method::POST, &path, &seek).await.json(200);
        assert_eq!(self.drain(name).await.len(), 1);
        let waiting = format!("/subscriptions/{name}/events?wait=1");
        assert_eq!(self.get(&waiting).await.status, 200);
        assert_eq!(self.get("/subscriptions").await.status, 200);
        self.unsubscribe(name).await;
    }
}

/// The bodies of the messages of events.
pub fn bodies(events: &[Value]) -> Vec<&str> {
    let bodies = events.iter().map(|e| e["data"]["message"]["body"].as_str());
    bodies.map(Option::unwrap).collect()
}
