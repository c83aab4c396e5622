//! Presence as the service reports it.

use std::time::Duration;

use duologue::store::Keys;
use redis::{ConnectionLike, cmd};
use serde_json::{Value, json};

use crate::harness::live::device::Device;
use crate::harness::metrics::wait_for_script_runs;
use crate::harness::{TestApp, eventually};

/// How long a change of presence may take; the service waits 3 s for a reconnect and sweeps once a
/// second.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The presence of a user.
pub async fn presence(app: &TestApp, user: &str) -> Value {
    let path = format!("/users/{user}/presence");
    app.get(&path).await.json(200)
}

pub async fn is_online(app: &TestApp, user: &str) -> bool {
    presence(app, user).await["online"] == true
}

/// Waits until a user is online or offline.
pub async fn wait_online(app: &TestApp, user: &str, online: bool) {
    let what = format!("{user} is online: {online}");
    eventually(&what, TIMEOUT, async || {
        is_online(app, user).await == online
    })
    .await;
}

/// Waits until the presence of this many users has been published, so that no presence event
/// arrives later.
pub async fn wait_for_presence_events(app: &TestApp, users: u32) {
    wait_for_script_runs(app, "scan_conversations", users, TIMEOUT).await;
}

/// The presence of a user who was never online.
pub fn never_seen(user: &str) -> Value {
    json!({"user": user, "online": false, "last_seen": null})
}

/// Seconds since an RFC 3339 time.
pub fn age(time: &Value) -> i64 {
    let time = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
    (chrono::Utc::now() - time).num_seconds()
}

/// The next presence event of a device: the peer, and whether it is online.
pub async fn next_presence_change(device: &mut Device) -> (String, bool) {
    let is_presence = |event: &Value| event["type"] == "presence.changed";
    let event = device.events_until(is_presence).await.pop().unwrap();
    let mut members: Vec<_> = event.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["cursor", "last_seen", "online", "peer", "type"]);
    let online = event["online"] == true;
    assert_eq!(event["last_seen"].is_null(), online, "{event}");
    (event["peer"].as_str().unwrap().to_owned(), online)
}

/// Makes the presence of a user older, as if its processes had died this many seconds ago.
pub fn age_presence(redis: &mut impl ConnectionLike, user: &str, seconds: i64) {
    let names = Keys::new();
    for key in [names.presence(user), names.leases(user)] {
        let mut members = cmd("ZRANGE");
        members.arg(&key).arg("0").arg("-1");
        for member in members.query::<Vec<String>>(redis).unwrap() {
            let mut older = cmd("ZINCRBY");
            older.arg(&key).arg(-1000 * seconds).arg(member);
            older.exec(redis).unwrap();
        }
    }
}
