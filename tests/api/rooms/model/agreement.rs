//! Comparisons of everything that users see with the model.

use std::time::Duration;

use serde_json::{Value, json};

use super::Scenario;
use super::steps::USERS;

impl Scenario<'_> {
    /// Compares everything that each user can see with the model.
    pub async fn assert_agreement(&mut self) {
        for user in 0..USERS {
            let name = self.model.names[user].clone();
            let expected = self.model.row(user);
            let follows = async || {
                let inbox = self.services[0].inbox(&name, "").await;
                row_of(&inbox, &self.model.room) == expected
            };
            let within = Duration::from_secs(10);
            if !eventually_holds(within, follows).await {
                let inbox = self.services[0].inbox(&name, "").await;
                assert_eq!(
                    row_of(&inbox, &self.model.room),
                    expected,
                    "the inbox of {name}"
                );
            }
            let inbox = self.services[0].inbox(&name, "").await;
            assert_totals(&inbox);
            self.read(user, 0, 200, true).await;
        }
        let path = format!("{}/members?limit=200", self.room_path());
        let mut listed = self.services[0].get(&path).await.json(200)["members"].clone();
        for member in listed.as_array_mut().unwrap() {
            member.as_object_mut().unwrap().remove("joined_at");
        }
        let banned = |member: &Value| member["role"] == "banned";
        for (listed, expected) in [(&mut listed, &mut self.model.members())] {
            for member in listed
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .filter(|m| banned(m))
            {
                member["read_seq"] = json!(0);
            }
            for member in expected
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .filter(|m| banned(m))
            {
                member["read_seq"] = json!(0);
            }
            assert_eq!(listed, expected);
        }
    }
}

/// A response as the model has it: without the times of deletions.
pub fn known(mut response: Value) -> Value {
    match &mut response {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let is_time = name == "deleted_at" && value.is_string();
                *value = if is_time {
                    json!(true)
                } else {
                    known(value.take())
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = known(item.take());
            }
        }
        _ => {}
    }
    response
}

/// The row of the room in an inbox.
fn row_of(inbox: &Value, room: &str) -> Option<Value> {
    let rows = inbox["conversations"].as_array().unwrap();
    let row = rows.iter().find(|row| row["peer"] == room);
    row.cloned().map(known)
}

/// Checks that the totals are the sums of the rows.
fn assert_totals(inbox: &Value) {
    let rows = inbox["conversations"].as_array().unwrap();
    let unread = |row: &Value| row["unread_count"].as_u64().unwrap();
    let muted = rows.iter().filter(|row| row["muted"] == true);
    assert_eq!(
        inbox["total_unread_count"],
        rows.iter().map(unread).sum::<u64>()
    );
    assert_eq!(
        inbox["unread_conversations"],
        rows.iter().filter(|row| unread(row) > 0).count()
    );
    assert_eq!(inbox["muted_unread_count"], muted.map(unread).sum::<u64>());
}

/// Waits until a condition holds; returns whether it did in time.
async fn eventually_holds(within: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if holds().await {
            return true;
        }
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
