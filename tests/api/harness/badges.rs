//! A reader of `badge.changed`, and what it knows of each user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{TestApp, holds_within};

/// How long the events of a change may take on a cluster, or after a message to a room.
const FOLLOWS: Duration = Duration::from_secs(10);

/// The members of a badge that `GET /users/{user}/unread` has too.
const TOTALS: [&str; 3] = [
    "total_unread_count",
    "unread_conversations",
    "muted_unread_count",
];

impl TestApp {
    /// Creates a subscription to badges only.
    pub async fn subscribe_to_badges(&self, name: &str) {
        let settings = json!({"types": ["badge.changed"]});
        self.subscribe(name, &settings).await;
    }

    /// Takes and acknowledges badges until nothing is left. Returns their data.
    pub async fn new_badges(&self, name: &str) -> Vec<Value> {
        let events = self.drain(name).await.into_iter();
        events
            .map(|mut event| {
                assert_eq!(event["type"], "badge.changed");
                event["data"].take()
            })
            .collect()
    }
}

/// What a reader of badges knows.
pub struct BadgeLog {
    subscription: String,
    /// The last badge of each user.
    last: BTreeMap<String, Value>,
    /// The users who have had one since the last comparison.
    changed: BTreeSet<String>,
}

/// Checks what a badge says of the event that caused it. No user of the models is connected.
fn assert_cause(badge: &Value) {
    assert_eq!(badge["online"], false);
    let (user, message) = (&badge["user"], &badge["message"]);
    let mentions = message["mentions"].as_array();
    let is_mentioned = mentions.is_some_and(|mentions| mentions.contains(user));
    assert_eq!(badge["mentioned"], is_mentioned, "{badge}");
    if badge["cause"] == "message.created" {
        assert_ne!(&message["from"], user, "{badge}");
        assert_ne!(badge["unread_count"], 0, "{badge}");
        assert!(message.is_object(), "{badge}");
    }
}

impl BadgeLog {
    /// Begins to read, under a name that is not in use.
    pub async fn open(app: &TestApp, subscription: &str) -> Self {
        app.subscribe_to_badges(subscription).await;
        Self {
            subscription: subscription.to_owned(),
            last: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Reads new events. Each differs from the one before of the same user.
    async fn read(&mut self, app: &TestApp) {
        let events = app.take(&self.subscription, "default").await;
        if events.is_empty() {
            return;
        }
        app.ack(&self.subscription, "default", &events).await;
        for event in events {
            let badge = event["data"].clone();
            let user = badge["user"].as_str().unwrap().to_owned();
            assert_ne!(self.last.get(&user), Some(&badge));
            assert_cause(&badge);
            self.changed.insert(user.clone());
            self.last.insert(user, badge);
        }
    }

    /// The totals of a user after the last event.
    fn totals(&self, user: &str) -> Value {
        let last = self.last.get(user);
        let total = |name| last.map_or(json!(0), |badge| badge[name].clone());
        json!(TOTALS.map(total))
    }

    /// Whether the last event of a user says what the user's totals and row are.
    async fn agrees(&self, app: &TestApp, user: &str) -> bool {
        let unread = app.totals(user).await;
        if self.totals(user) != json!(TOTALS.map(|name| &unread[name])) {
            return false;
        }
        let inbox = app.inbox(user, "limit=100").await;
        let Some(badge) = self.last.get(user) else {
            return true;
        };
        let rows = inbox["conversations"].as_array().unwrap();
        let row = rows.iter().find(|row| row["peer"] == badge["peer"]);
        row.is_none_or(|row| {
            // Muting a conversation without unread messages changes no badge.
            let is_muted = row["muted"] == badge["muted"] || !self.changed.contains(user);
            let is_counted = row["unread_count"] == badge["unread_count"];
            is_muted && (is_counted || row["blocked"] == true)
        })
    }

    /// Compares what is known of users with what the service says, once all events have come.
    pub async fn assert_agreement(&mut self, app: &TestApp, users: &[String]) {
        self.changed.clear();
        self.read(app).await;
        for user in users {
            let follows = async || {
                let agrees = self.agrees(app, user).await;
                if !agrees {
                    self.read(app).await;
                }
                agrees
            };
            if !holds_within(FOLLOWS, follows).await {
                let (last, totals) = (self.last.get(user), app.totals(user).await);
                panic!("{user}: {last:?}, but {totals}");
            }
        }
    }
}
