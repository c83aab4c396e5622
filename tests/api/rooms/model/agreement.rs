//! Comparisons of everything that users see with the model.

use std::time::Duration;

use serde_json::{Value, json};

use super::Scenario;
use super::steps::USERS;
use crate::harness::holds_within;

/// How long an inbox may take to follow the room.
const FOLLOWS: Duration = Duration::from_secs(10);

impl Scenario<'_> {
    /// Compares everything that each user can see with the model.
    pub async fn assert_agreement(&mut self) {
        for user in 0..USERS {
            self.assert_row(user).await;
            self.read(user, 0, 200, true).await;
        }
        self.assert_members().await;
    }

    async fn assert_row(&mut self, user: usize) {
        let expected = self.model.row(user);
        let (name, room) = (&self.model.names[user], &self.model.room);
        let mut inbox = Value::Null;
        let follows = async || {
            inbox = self.services[0].inbox(name, "").await;
            row_of(&inbox, room) == expected
        };
        holds_within(FOLLOWS, follows).await;
        assert_eq!(row_of(&inbox, room), expected, "the inbox of {name}");
        assert_totals(&inbox);
    }

    async fn assert_members(&self) {
        let path = format!("{}/members?limit=200", self.room_path());
        let mut listed = self.services[0].get(&path).await.json(200)["members"].clone();
        let mut expected = self.model.members();
        for member in listed.as_array_mut().unwrap() {
            member.as_object_mut().unwrap().remove("joined_at");
        }
        // What a banned user has read does not matter.
        for all in [&mut listed, &mut expected] {
            let members = all.as_array_mut().unwrap().iter_mut();
            for banned in members.filter(|member| member["role"] == "banned") {
                banned["read_seq"] = json!(0);
            }
        }
        assert_eq!(listed, expected);
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
