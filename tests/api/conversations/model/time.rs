//! Time in the property test. To let it pass, every stored time is moved back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::{Pair, UserId, rfc3339};
use duologue::store::Keys;
use redis::Commands;

use super::Scenario;
use super::reference::Perspective;
use crate::harness::store::lua::keys_of_user;
use crate::harness::{TestApp, eventually, keys};

impl Scenario<'_> {
    /// Lets days pass, in Redis as in the model: messages get older and expire, and mutes end.
    pub async fn age(&mut self, days: u32) {
        self.model.age(days);
        self.age_archive(days);
        let mut redis = self.services[0].app.redis();
        let mut due = Vec::new();
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let [one, other] = self.names(Perspective {
                user: one,
                peer: other,
            });
            let [messages, ..] = keys(one, other);
            let stored: Vec<String> = redis.lrange(&messages, 0, -1).unwrap();
            for (index, message) in (0_isize..).zip(stored) {
                let older = older(&message, days);
                redis.lset::<_, _, ()>(&messages, index, older).unwrap();
            }
            for (user, peer) in [(one, other), (other, one)] {
                self.shorten_mute(user, peer, days);
            }
            // Last, because a message is deleted as soon as this says that it is due.
            due.extend(self.hasten(one, other, days));
        }
        let done = async || {
            due.iter()
                .all(|(schedule, entry)| !is_scheduled(&self.services[0].app, schedule, entry))
        };
        eventually("the due tasks are done", Duration::from_secs(20), done).await;
        self.inboxes_follow().await;
        self.model.expire();
    }

    /// Moves the end of a mute to an earlier time in both places that store it.
    fn shorten_mute(&self, user: &str, peer: &str, days: u32) {
        let mut redis = self.services[0].app.redis();
        let [_, meta] = keys(user, peer);
        let [_, conversations, _] = keys_of_user(user);
        // Behind the numbers of the state are the marks of the first user, then those of the second. Without an end,
        // the marks have 0 in this place, and the row has nothing.
        let marks = if user < peer { 1 } else { 2 };
        for (key, field, part, place) in [(meta, "state", marks, 5), (conversations, peer, 0, 9)] {
            let stored: Option<String> = redis.hget(&key, field).unwrap();
            let stored = stored.unwrap_or_default();
            let mut parts: Vec<_> = stored
                .split(';')
                .map(|part| part.split('|').map(str::to_owned).collect::<Vec<_>>())
                .collect();
            let end = parts.get_mut(part).and_then(|part| part.get_mut(place));
            let Some(end) = end.filter(|end| *end != "0") else {
                continue;
            };
            let time: i64 = end.parse().unwrap();
            *end = (time - TimeDelta::days(days.into()).num_milliseconds()).to_string();
            let parts: Vec<_> = parts.iter().map(|part| part.join("|")).collect();
            redis
                .hset::<_, _, _, ()>(&key, field, parts.join(";"))
                .unwrap();
        }
    }

    /// Moves the schedule of a conversation to an earlier time. Returns the entries that are due now, each with
    /// the key of its schedule.
    fn hasten(&self, one: &str, other: &str, days: u32) -> Vec<(String, String)> {
        let mut redis = self.services[0].app.redis();
        let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
        let schedule = Keys::new().schedule(Pair::of(&user(one), &user(other)).as_str());
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

/// A stored message, so many days later.
pub fn older(message: &str, days: u32) -> String {
    let message = earlier(message, "sent_at", days);
    earlier(&message, "expires_at", days)
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
