//! Webhooks: a backend that receives them, and the calls of their tests.

pub mod receiver;

use std::time::Duration;

use serde_json::{Value, json};

pub use self::receiver::{Reaction, Receiver, hmac_sha256};
use crate::harness::{TestApp, eventually};

/// Settings with which a webhook that fails is tried again after 20 ms, and after 1.28 s at the latest.
pub const IMPATIENT: [&str; 2] = ["--webhook-wait", "20ms"];

impl TestApp {
    /// Creates a subscription to messages whose events are sent to a receiver. Returns its secret.
    pub async fn subscribe_webhook(&self, name: &str, receiver: &Receiver) -> String {
        let settings = json!({"url": receiver.url(), "types": ["message.created"]});
        let made = self.subscribe(name, &settings).await;
        made["secret"].as_str().unwrap().to_owned()
    }

    /// What the service says of a subscription. A busy machine may refuse the request.
    async fn subscription_if_available(&self, name: &str) -> Value {
        let answer = self.get(&format!("/subscriptions/{name}")).await;
        if answer.status == 503 {
            Value::Null
        } else {
            answer.json(200)
        }
    }

    /// Whether everything is acknowledged.
    async fn is_taken(&self, name: &str) -> bool {
        let state = self.subscription_if_available(name).await;
        state["lag"] == 0 && state["pending"] == 0
    }

    /// Waits until everything is acknowledged.
    pub async fn wait_until_taken(&self, name: &str) {
        self.wait_long_until_taken(name, Duration::from_secs(60))
            .await;
    }

    /// The same for a longer time.
    pub async fn wait_long_until_taken(&self, name: &str, limit: Duration) {
        let taken = async || self.is_taken(name).await;
        eventually("everything is taken", limit, taken).await;
    }

    /// Waits until a subscription is in a state.
    pub async fn wait_for_state(&self, name: &str, state: &str) {
        let there = async || self.subscription_if_available(name).await["state"] == state;
        eventually(&format!("it is {state}"), Duration::from_secs(30), there).await;
    }

    /// The dead letters of a subscription.
    pub async fn dead_letters(&self, name: &str) -> Vec<Value> {
        let page = self
            .get(&format!("/subscriptions/{name}/dead"))
            .await
            .json(200);
        page["dead_letters"].as_array().unwrap().clone()
    }

    /// Uses what a webhook needs: an event that is sent, a dead letter that is sent again.
    pub async fn use_webhook(&self, name: &str) {
        let receiver = Receiver::start();
        receiver.react(|request| Reaction::Status(if request.text() == "bad" { 500 } else { 200 }));
        let settings = json!({"url": receiver.url()});
        self.subscribe(name, &settings).await;
        self.send("erin", "frank", "bad").await;
        let other = async || {
            self.send("erin", "grace", "good").await;
            !self.dead_letters(name).await.is_empty()
        };
        eventually("it is a dead letter", Duration::from_secs(60), other).await;
        receiver.answer(200);
        let path = format!("/subscriptions/{name}/dead/retry");
        self.ask(reqwest::Method::POST, &path, &json!({}))
            .await
            .json(200);
        let gone = async || self.subscription(name).await["dead"] == 0;
        eventually("it is taken", Duration::from_secs(30), gone).await;
        receiver.answer(410);
        self.send("erin", "frank", "the last").await;
        self.wait_for_state(name, "gone").await;
        self.unsubscribe(name).await;
    }
}
