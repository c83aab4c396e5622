//! Time in the property test: it passes by moving everything that is stored back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::{Pair, UserId, rfc3339};
use duologue::store::Keys;
use redis::Commands;

use super::Scenario;
use super::reference::Perspective;
use crate::harness::{TestApp, eventually, keys};

impl Scenario<'_> {
    /// Lets time pass: all messages get older, in Redis as in the model, and those whose time is over expire.
    pub async fn age(&mut self, days: u32) {
        self.model.age(days);
        let mut redis = self.app.redis();
        let mut due = Vec::new();
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let [one, other] = self.names(Perspective {
                user: one,
                peer: other,
            });
            let [messages, ..] = keys(one, other);
            let stored: Vec<String> = redis.lrange(&messages, 0, -1).unwrap();
            for (index, message) in (0_isize..).zip(stored) {
                let message = earlier(&message, "sent_at", days);
                let message = earlier(&message, "expires_at", days);
                redis.lset::<_, _, ()>(&messages, index, message).unwrap();
            }
            // Last, because a message is deleted as soon as this says that it is due.
            due.extend(self.hasten(one, other, days));
        }
        let done = async || {
            due.iter()
                .all(|(schedule, entry)| !is_scheduled(self.app, schedule, entry))
        };
        eventually("what is due is done", Duration::from_secs(20), done).await;
        self.model.expire();
    }

    /// Moves what becomes due in a conversation to an earlier time. Returns what is due now, with its schedule.
    fn hasten(&self, one: &str, other: &str, days: u32) -> Vec<(String, String)> {
        let mut redis = self.app.redis();
        let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
        let schedule = Keys::new().schedule(&Pair::of(&user(one), &user(other)));
        let entries: Vec<(String, i64)> = redis.zrange_withscores(&schedule, 0, -1).unwrap();
        let pairs = [format!(",{one},{other},"), format!(",{other},{one},")];
        let entries = entries
            .into_iter()
            .filter(|(entry, _)| pairs.iter().any(|pair| format!("{entry},").contains(pair)));
        let mut due = Vec::new();
        for (entry, at) in entries {
            let at = at - TimeDelta::days(days.into()).num_milliseconds();
            redis.zadd::<_, _, _, ()>(&schedule, &entry, at).unwrap();
            if at <= Utc::now().timestamp_millis() {
                due.push((schedule.clone(), entry));
            }
        }
        due
    }
}

/// A stored message with one of its times moved back.
fn earlier(message: &str, member: &str, days: u32) -> String {
    let name = format!(r#""{member}":""#);
    let Some((head, rest)) = message.split_once(&name) else {
        return message.to_owned();
    };
    let (time, tail) = rest.split_once('"').unwrap();
    let time: DateTime<Utc> = time.parse().unwrap();
    let time = rfc3339(time - TimeDelta::days(days.into()));
    format!(r#"{head}{name}{time}"{tail}"#)
}

fn is_scheduled(app: &TestApp, schedule: &str, entry: &str) -> bool {
    let at: Option<i64> = app.redis().zscore(schedule, entry).unwrap();
    at.is_some()
}
