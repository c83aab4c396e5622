//! Steps that create or change messages.

use reqwest::Method;
use serde_json::{Value, json};

use super::Scenario;
use super::agreement::known;
use super::reference::THUMB;
use crate::harness::http::response::ApiResponse;
use crate::harness::models::set_reaction;

impl Scenario<'_> {
    pub async fn send(&mut self, user: usize, service: usize) {
        let names = &self.model.names;
        let mentioned = &names[(user + 1) % names.len()];
        let message = json!({"from": names[user], "to": self.model.room, "body": "hi",
            "mentions": [mentioned]});
        let answer = self.services[service].post(&message).await;
        if let Some((status, code)) = self.model.refuses_stranger(user) {
            answer.problem(status, code);
            return;
        }
        let sent = answer.json(201);
        assert_eq!(sent["seq"], self.model.last() + 1);
        for (name, value) in message.as_object().unwrap() {
            assert_eq!(&sent[name], value);
        }
        self.model.sent(user, sent);
        self.model.drop_old(Self::limit(service));
    }

    pub async fn edit(&mut self, user: usize, seq: u64) {
        let edit = json!({"body": format!("edited {seq}")});
        let (name, room) = (&self.model.names[user], &self.model.room);
        let answer = self.services[0].edit(name, room, seq, &edit).await;
        let Some(message) = self.expect_seen(user, seq, &answer) else {
            return;
        };
        if message["from"] != self.model.names[user] {
            answer.problem(403, "FORBIDDEN");
        } else if message.get("deleted_at").is_some() {
            answer.problem(409, "MESSAGE_DELETED");
        } else {
            let edited = answer.json(200);
            assert_eq!(edited["body"], edit["body"]);
            *self.model.message(user, seq).unwrap() = edited;
        }
    }

    pub async fn react(&mut self, user: usize, seq: u64) {
        let peers = [&*self.model.names[user], &*self.model.room];
        let answer = self.services[0].react(Method::PUT, peers, seq, THUMB).await;
        let Some(message) = self.expect_seen(user, seq, &answer) else {
            return;
        };
        if message.get("deleted_at").is_some() {
            answer.problem(409, "MESSAGE_DELETED");
            return;
        }
        let name = json!(self.model.names[user]);
        let message = self.model.message(user, seq).unwrap();
        set_reaction(message, THUMB, &name, true);
        assert_eq!(&answer.json(200), message);
    }

    pub async fn delete(&mut self, user: usize, seq: u64) {
        let (name, room) = (&self.model.names[user], &self.model.room);
        let answer = self.services[0].delete(name, room, seq).await;
        if let Some((status, code)) = self.model.refuses_deletion(user, seq) {
            answer.problem(status, code);
            return;
        }
        assert_eq!(Some(&known(answer.json(200))), self.model.delete(seq));
    }

    /// The message that a member wants to change; `None` if the member must be refused, and was.
    fn expect_seen(&mut self, user: usize, seq: u64, answer: &ApiResponse) -> Option<Value> {
        if let Some((status, code)) = self.model.refuses_reader(user) {
            answer.problem(status, code);
            return None;
        }
        let Some(message) = self.model.message(user, seq).cloned() else {
            assert!([403, 404].contains(&answer.status), "{}", answer.status);
            return None;
        };
        if let Some((status, code)) = self.model.refuses_stranger(user) {
            answer.problem(status, code);
            return None;
        }
        Some(message)
    }
}
