//! Devices that watch rooms.

use serde_json::{Value, json};

use super::device::Device;
use crate::harness::TestApp;

impl Device {
    /// Watches a room after a cursor, or from now on; returns the cursor at which its events start.
    pub async fn watch(&mut self, room: &str, after: Option<&str>) -> String {
        let answer = self.try_watch(room, after).await;
        assert_eq!(answer["type"], "ack", "{answer}");
        answer["cursor"].as_str().unwrap().to_owned()
    }

    /// Asks to watch a room; returns the answer.
    pub async fn try_watch(&mut self, room: &str, after: Option<&str>) -> Value {
        let mut command = json!({"type": "watch", "room": room});
        if let Some(after) = after {
            command["after"] = json!(after);
        }
        self.ask(&command).await
    }

    /// The events of rooms up to and including the message with this text. Panics unless each follows the one
    /// before, from a cursor on.
    pub async fn room_events_until(&mut self, after: &str, body: &str) -> Vec<Value> {
        let is_last =
            |event: &Value| event.get("room").is_some() && event["message"]["body"] == body;
        let mut events = self.events_until(is_last).await;
        events.retain(|event| event.get("room").is_some());
        let mut place = json!(after);
        for event in events.iter().filter(|event| event.get("prev").is_some()) {
            assert_eq!(event["prev"], place, "a gap: {events:#?}");
            place = event["cursor"].clone();
        }
        events
    }
}

/// A device of a user that watches a room from now on, and the cursor of that moment.
pub async fn watcher(app: &TestApp, user: &str, room: &str) -> (Device, String) {
    let mut device = Device::connect(app, user).await;
    let cursor = device.watch(room, None).await;
    (device, cursor)
}
