//! Property test: random sequences of actions of three users are applied to the service and to a
//! model of a hundred lines. A difference is shrunk to the shortest sequence that shows it.

mod reference;
mod steps;

use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, conversations::message_path, spawn_app};
use reference::{Model, Perspective};
use steps::{Action, Page, Read, Step, scenarios};

/// Steps between two comparisons of the whole state.
const STEPS_BETWEEN_CHECKS: usize = 6;

/// A sequence of steps, applied to the service and to the model.
struct Scenario<'a> {
    app: &'a TestApp,
    model: Model,
}

/// Checks that a response is a refusal with this status and code.
type Refusal = (u16, &'static str);

impl Scenario<'_> {
    async fn apply(&mut self, step: &Step) {
        let who = Perspective {
            user: step.user,
            peer: step.peer,
        };
        match step.action {
            Action::Send { reply_to, metadata } => self.send(who, reply_to, metadata).await,
            Action::Read(read) => self.read(who, read).await,
            Action::MarkRead(seq) => {
                self.model.mark_read(who, seq);
                self.mark(Method::PUT, who, "read", seq).await;
            }
            Action::MarkDelivered(seq) => {
                self.model.mark_delivered(who, seq);
                self.mark(Method::PUT, who, "delivered", seq).await;
            }
            Action::MarkUnread(seq) => {
                self.model.mark_unread(who, seq);
                self.mark(Method::POST, who, "unread", seq).await;
            }
            Action::Clear => {
                self.model.clear(who);
                self.change(Method::DELETE, who, "").await;
            }
            Action::Block(on) => {
                self.model.side(who).blocked = on;
                self.change(switch(on), who, "/block").await;
            }
            Action::Mute(on) => {
                self.model.side(who).muted = on;
                self.change(switch(on), who, "/mute").await;
            }
            Action::Edit { seq, metadata } => self.edit(who, seq, metadata).await,
            Action::Delete(seq) => self.delete(who, seq).await,
            Action::React { seq, emoji, on } => self.react(who, seq, emoji, on).await,
        }
    }

    fn names(&self, who: Perspective) -> [&str; 2] {
        [who.user, who.peer].map(|user| self.model.names[user].as_str())
    }

    async fn send(&mut self, who: Perspective, reply_to: Option<u64>, metadata: bool) {
        let [user, peer] = self.names(who);
        let mut message = json!({"from": user, "to": peer, "body": "hi"});
        if let Some(seq) = reply_to {
            message["reply_to"] = json!(seq);
        }
        if metadata {
            message["metadata"] = json!({"from": peer, "deleted_at": "2026-01-31T12:00:00.000Z"});
        }
        let answer = self.app.post(&message).await;
        if let Some((status, code)) = self.model.refuses_send(who, reply_to) {
            answer.problem(status, code);
            return;
        }
        let sent = answer.json(201);
        assert_eq!(sent["seq"], self.model.last(who) + 1);
        for (name, value) in message.as_object().unwrap() {
            assert_eq!(&sent[name], value);
        }
        self.model.sent(who, sent);
    }

    async fn read(&mut self, who: Perspective, read: Read) {
        let limit = Some(format!("limit={}", read.limit));
        let unread_limit = read
            .unread_limit
            .map(|limit| format!("unread_limit={limit}"));
        let peek = read.peek.map(|peek| format!("peek={peek}"));
        let range = match read.page {
            Page::Newest => None,
            Page::Before(seq) => Some(format!("before={seq}")),
            Page::After(seq) => Some(format!("after={seq}")),
            Page::Around(seq) => Some(format!("around={seq}")),
            Page::AroundTime(seq) => Some(format!("around_time={}", self.model.time(who, seq))),
        };
        let query: Vec<_> = [limit, unread_limit, peek, range]
            .into_iter()
            .flatten()
            .collect();
        let query = query.join("&");
        let [user, peer] = self.names(who);
        let found = self.app.page(user, peer, &query).await;
        assert_eq!(found, self.model.page(who, read), "{query}");
        if read.marks() {
            let last = self.model.last(who);
            self.model.mark_read(who, last);
        }
    }

    async fn mark(&mut self, method: Method, who: Perspective, what: &str, seq: u64) {
        let [user, peer] = self.names(who);
        let path = format!("/conversations/{user}/{peer}/{what}");
        let answer = self.app.ask(method, &path, &json!({"seq": seq})).await;
        assert_eq!(answer.json(200), self.model.state(who), "{what} {seq}");
    }

    async fn change(&mut self, method: Method, who: Perspective, what: &str) {
        let [user, peer] = self.names(who);
        let path = format!("/conversations/{user}/{peer}{what}");
        let answer = self.app.request(method, &path).await;
        assert_eq!(answer.json(200), self.model.state(who), "{what}");
    }

    async fn edit(&mut self, who: Perspective, seq: u64, metadata: bool) {
        let edit = if metadata {
            json!({"metadata": {"edited": seq}})
        } else {
            json!({"body": "edited"})
        };
        let [user, peer] = self.names(who);
        let answer = self.app.edit(user, peer, seq, &edit).await;
        let Some(message) = self.expect_message(who, seq, &answer, true, true) else {
            return;
        };
        for (name, value) in edit.as_object().unwrap() {
            message[name] = value.clone();
        }
        let edited = answer.json(200);
        message["edited_at"] = edited["edited_at"].clone();
        assert_eq!(&edited, message);
    }

    async fn delete(&mut self, who: Perspective, seq: u64) {
        let [user, peer] = self.names(who);
        let answer = self.app.delete(user, peer, seq).await;
        let Some(message) = self.expect_message(who, seq, &answer, true, false) else {
            return;
        };
        let tombstone = answer.json(200);
        if message.get("deleted_at").is_none() {
            let fixed = ["seq", "id", "from", "to", "sent_at"];
            message
                .as_object_mut()
                .unwrap()
                .retain(|name, _| fixed.contains(&name.as_str()));
            message["body"] = json!("");
            message["deleted_at"] = tombstone["deleted_at"].clone();
        }
        assert_eq!(&tombstone, message);
    }

    async fn react(&mut self, who: Perspective, seq: u64, emoji: &str, on: bool) {
        let [user, peer] = self.names(who);
        let (user, path) = (json!(user), message_path(user, peer, seq));
        let path = format!("{path}/reactions/{emoji}");
        let answer = self.app.request(switch(on), &path).await;
        let Some(message) = self.expect_message(who, seq, &answer, false, on) else {
            return;
        };
        let users = message["reactions"][emoji].as_array().cloned();
        let mut users = users.unwrap_or_default();
        match (on, users.contains(&user)) {
            (true, false) => users.push(user),
            (false, true) => users.retain(|other| *other != user),
            _ => {}
        }
        reference::set_reaction(message, emoji, &users);
        assert_eq!(&answer.json(200), message);
    }

    /// The message that a step changes; `None` if the step must be refused, and was.
    fn expect_message(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
        by_author: bool,
        standing: bool,
    ) -> Option<&mut Value> {
        let user = json!(self.model.names[who.user]);
        // Authors delete also what they cleared.
        let deletes = by_author && !standing;
        let find = if deletes {
            Model::message_to_delete
        } else {
            Model::message
        };
        let refusal: Option<Refusal> = match find(&mut self.model, who, seq) {
            None => Some((404, "MESSAGE_NOT_FOUND")),
            Some(message) if by_author && message["from"] != user => Some((403, "FORBIDDEN")),
            Some(message) if standing && message.get("deleted_at").is_some() => {
                Some((409, "MESSAGE_DELETED"))
            }
            Some(_) => None,
        };
        if let Some((status, code)) = refusal {
            answer.problem(status, code);
            return None;
        }
        find(&mut self.model, who, seq)
    }

    /// Compares everything that each user can see with the model.
    async fn assert_agreement(&mut self) {
        for user in 0..3 {
            let name = self.model.names[user].clone();
            let expected = self.model.inbox(user);
            assert_eq!(self.app.inbox(&name, "").await, expected, "{name}");
            let badge = ["total_unread_count", "unread_conversations"];
            let badge = badge.map(|total| expected[total].as_u64().unwrap());
            assert_eq!(self.app.badge(&name).await, badge, "{name}");
            for peer in (0..3).filter(|peer| *peer != user) {
                self.read(Perspective { user, peer }, Read::ALL).await;
            }
        }
    }
}

fn switch(on: bool) -> Method {
    if on { Method::PUT } else { Method::DELETE }
}

#[test]
fn the_service_agrees_with_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let app = spawn_app();
    let told_before = std::cell::Cell::new(0);
    let config = Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let told = TestRunner::new(config).run(&scenarios(), |steps| {
        let number = told_before.replace(told_before.get() + 1);
        // The names sort differently from case to case, and some contain others.
        let names = ["u", "u.", "U"].map(|name| format!("{name}{number}"));
        let model = Model::of(names);
        let mut scenario = Scenario { app: &app, model };
        runtime.block_on(async {
            for (number, step) in steps.iter().enumerate() {
                scenario.apply(step).await;
                if number % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1 {
                    scenario.assert_agreement().await;
                }
            }
            scenario.assert_agreement().await;
        });
        Ok(())
    });
    told.unwrap();
}
