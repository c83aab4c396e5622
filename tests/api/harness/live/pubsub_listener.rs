//! The events that Redis publishes to a user's devices.

use std::time::Duration;

use redis::{Connection, cmd};
use serde_json::{Value, json};

use crate::harness::store::lua::{keys_of_user, open_stream};
use crate::harness::store::redis_server::connect_to_key;

/// Subscribes to the channel of one user.
pub struct PubSubListener {
    channel: String,
    subscription: Connection,
    publisher: Connection,
}

impl PubSubListener {
    pub fn subscribe(redis_url: &str, user: &str) -> Self {
        let [.., channel] = keys_of_user(user);
        let mut subscription = connect_to_key(redis_url, &channel);
        open_stream(&mut subscription, user);
        let within = Some(Duration::from_secs(10));
        subscription.set_read_timeout(within).unwrap();
        let subscribe = cmd("SSUBSCRIBE").arg(&channel).get_packed_command();
        subscription.send_packed_command(&subscribe).unwrap();
        subscription.recv_response().unwrap();
        Self {
            publisher: connect_to_key(redis_url, &channel),
            channel,
            subscription,
        }
    }

    /// All events since the last call, in order. A request that has been answered has been
    /// published, so an event published by the test marks the end.
    pub fn drain_events(&mut self) -> Vec<Value> {
        let end = json!({"type": "end of the test"});
        let mut publish = cmd("SPUBLISH");
        publish.arg(&self.channel).arg(end.to_string());
        publish.exec(&mut self.publisher).unwrap();
        let mut events = Vec::new();
        loop {
            let pushed = self.subscription.recv_response().unwrap();
            let (_, _, payload): (String, String, String) =
                redis::from_redis_value(pushed).unwrap();
            let event: Value = serde_json::from_str(&payload).unwrap();
            if event == end {
                return events;
            }
            events.push(event);
        }
    }
}
