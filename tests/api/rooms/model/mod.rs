//! Property test: random sequences of actions of four users in a room are applied to the service and to a model. A
//! difference is shrunk to the shortest sequence that shows it.

mod agreement;
mod reference;
mod steps;
mod views;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::models::{run_cases, set_reaction};
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_with};
use agreement::known;
use reference::{Model, THUMB};
use steps::{Action, Role, Step, USERS, scenarios};

/// Steps between two comparisons of the whole state.
const STEPS_BETWEEN_CHECKS: usize = 8;
/// Number of messages that the second service keeps.
const LIMIT: u64 = 6;

/// A sequence of steps, applied to the services and to the model.
struct Scenario<'a> {
    services: &'a [TestApp; 2],
    model: Model,
}

impl Scenario<'_> {
    async fn apply(&mut self, step: &Step) {
        let Step { user, service, .. } = *step;
        match step.action {
            Action::Send => self.send(user, service).await,
            Action::SendToUser => {
                let names = &self.model.names;
                let (from, to) = (&names[user], &names[(user + 1) % USERS]);
                self.services[0].send(from, to, "hi").await;
            }
            Action::Read { limit, peek } => self.read(user, service, limit, peek).await,
            Action::MarkRead(seq) => {
                let body = json!({"seq": seq});
                let answer = self.ask(service, Method::PUT, user, "/read", &body).await;
                self.expect_state(user, service, &answer, |model| model.mark_read(user, seq));
            }
            Action::MarkUnread(seq) => {
                let body = json!({"seq": seq});
                let answer = self
                    .ask(service, Method::POST, user, "/unread", &body)
                    .await;
                self.expect_state(user, service, &answer, |model| model.mark_unread(user, seq));
            }
            Action::Clear => {
                let path = self.path(user);
                let answer = self.services[service].request(Method::DELETE, &path).await;
                self.expect_state(user, service, &answer, |model| model.clear(user));
            }
            Action::Mute(on) => {
                let path = self.path(user) + "/mute";
                let method = if on { Method::PUT } else { Method::DELETE };
                let answer = self.services[service].request(method, &path).await;
                let mute = |model: &mut Model| model.member(user).unwrap().muted = on;
                self.expect_state(user, service, &answer, mute);
            }
            Action::Set { archived, pinned } => self.set(user, service, archived, pinned).await,
            Action::Edit(seq) => self.edit(user, seq).await,
            Action::React(seq) => self.react(user, seq).await,
            Action::Delete(seq) => self.delete(user, seq).await,
            Action::Join(role) => self.join(user, role).await,
            Action::Leave => {
                let path = self.member_path(user);
                let answer = self.services[0].request(Method::DELETE, &path).await;
                assert_eq!(answer.status, 204);
                self.model.leave(user);
            }
            Action::Change { open, all } => self.change(open, all).await,
            Action::Export => {
                let path = format!("/users/{}/export", self.model.names[user]);
                assert_eq!(self.services[service].get(&path).await.status, 200);
            }
            Action::Erase => self.erase(user).await,
        }
    }

    fn path(&self, user: usize) -> String {
        format!(
            "/conversations/{}/{}",
            self.model.names[user], self.model.room
        )
    }

    fn room_path(&self) -> String {
        format!("/rooms/{}", self.model.room.trim_start_matches("room:"))
    }

    fn member_path(&self, user: usize) -> String {
        format!("{}/members/{}", self.room_path(), self.model.names[user])
    }

    /// Number of messages that a service keeps; 0 for all.
    fn limit(service: usize) -> u64 {
        [0, LIMIT][service]
    }

    async fn ask(
        &self,
        service: usize,
        method: Method,
        user: usize,
        what: &str,
        body: &Value,
    ) -> ApiResponse {
        let path = self.path(user) + what;
        self.services[service].ask(method, &path, body).await
    }

    /// Checks the response to a change of a member's marks or settings.
    fn expect_state(
        &mut self,
        user: usize,
        service: usize,
        answer: &ApiResponse,
        change: impl FnOnce(&mut Model),
    ) {
        if let Some((status, code)) = self.model.refuses_stranger(user) {
            answer.problem(status, code);
            return;
        }
        self.model.drop_old(Self::limit(service));
        change(&mut self.model);
        assert_eq!(known(answer.json(200)), self.model.state(user));
    }

    async fn send(&mut self, user: usize, service: usize) {
        let message = json!({"from": self.model.names[user], "to": self.model.room, "body": "hi"});
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

    async fn read(&mut self, user: usize, service: usize, limit: u64, peek: bool) {
        let path = format!(
            "{}?limit={limit}&peek={peek}&unread_limit=100",
            self.path(user)
        );
        let answer = self.services[service].get(&path).await;
        if let Some((status, code)) = self.model.refuses_reader(user) {
            answer.problem(status, code);
            return;
        }
        self.model.drop_old(Self::limit(service));
        assert_eq!(
            known(answer.json(200)),
            self.model.page(user, limit),
            "{path}"
        );
        if !peek {
            let last = self.model.last();
            self.model.mark_read(user, last);
        }
    }

    async fn set(
        &mut self,
        user: usize,
        service: usize,
        archived: Option<bool>,
        pinned: Option<bool>,
    ) {
        let mut patch = json!({});
        for (name, value) in [("archived", archived), ("pinned", pinned)] {
            if let Some(value) = value {
                patch[name] = json!(value);
            }
        }
        let answer = self.ask(service, Method::PATCH, user, "", &patch).await;
        self.expect_state(user, service, &answer, |model| {
            model.set(user, archived, pinned);
        });
    }

    async fn edit(&mut self, user: usize, seq: u64) {
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

    async fn react(&mut self, user: usize, seq: u64) {
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

    async fn delete(&mut self, user: usize, seq: u64) {
        let (name, room) = (&self.model.names[user], &self.model.room);
        let answer = self.services[0].delete(name, room, seq).await;
        if let Some((status, code)) = self.model.refuses_deletion(user, seq) {
            answer.problem(status, code);
            return;
        }
        assert_eq!(Some(&known(answer.json(200))), self.model.delete(seq));
    }

    async fn join(&mut self, user: usize, role: Role) {
        let (path, body) = (self.member_path(user), json!({"role": role.as_str()}));
        let answer = self.services[0].ask(Method::PUT, &path, &body).await;
        let is_new = self.model.join(user, role);
        assert_eq!(answer.status, if is_new { 201 } else { 200 });
    }

    async fn change(&mut self, open: bool, all: bool) {
        let settings = json!({
            "join": if open { "open" } else { "invited" },
            "history": if all { "all" } else { "joined" },
        });
        let path = self.room_path();
        let answer = self.services[0].ask(Method::PUT, &path, &settings).await;
        assert!([200, 201].contains(&answer.status));
        self.model.change(open, all);
    }

    async fn erase(&mut self, user: usize) {
        let path = format!("/users/{}", self.model.names[user]);
        let done = async || {
            let answer = self.services[0].request(Method::DELETE, &path).await;
            answer.json(200)["done"] == true
        };
        eventually("the user is erased", Duration::from_secs(10), done).await;
        self.model.erase(user);
    }
}

#[test]
fn a_room_agrees_with_its_model() {
    let app = spawn_app();
    let url = app.redis_url.clone();
    let limit = LIMIT.to_string();
    let limited = spawn_app_with(&["--redis-url", &url, "--history-limit", &limit]);
    let services = [app, limited];
    run_cases(40, &scenarios(), async |case, steps| {
        let names = ["u", "u.", "U", "room"].map(|name| format!("{name}{case}"));
        let mut scenario = Scenario {
            services: &services,
            model: Model::of(names.to_vec(), format!("room:r{case}")),
        };
        scenario.change(true, true).await;
        for user in 0..2 {
            scenario.join(user, Role::Member).await;
        }
        for steps in steps.chunks(STEPS_BETWEEN_CHECKS) {
            for step in steps {
                scenario.apply(step).await;
            }
            scenario.assert_agreement().await;
        }
    });
}
