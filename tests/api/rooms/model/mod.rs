//! Property test: random sequences of actions of four users in a room are applied to the service and to a model. A
//! difference is shrunk to the shortest sequence that shows it.

mod agreement;
mod archive;
mod messages;
mod reference;
mod steps;
mod views;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::archive::ArchivedApp;
use crate::harness::badges::BadgeLog;
use crate::harness::models::run_cases;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_with};
use agreement::known;
use reference::Model;
use steps::{Action, Role, Step, USERS, scenarios};

/// Steps between two comparisons of the whole state.
const STEPS_BETWEEN_CHECKS: usize = 8;
/// Number of messages that the second service keeps.
const LIMIT: u64 = 6;

/// A sequence of steps, applied to the services and to the model.
struct Scenario<'a> {
    services: &'a [TestApp; 2],
    model: Model,
    /// The archive of the services, if they have one.
    archive: Option<&'a ArchivedApp>,
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
                let body = Some(json!({"seq": seq}));
                let mark = |model: &mut Model| model.mark_read(user, seq);
                self.change_member(step, "PUT", "/read", body, mark).await;
            }
            Action::MarkUnread(seq) => {
                let body = Some(json!({"seq": seq}));
                let mark = |model: &mut Model| model.mark_unread(user, seq);
                self.change_member(step, "POST", "/unread", body, mark)
                    .await;
            }
            Action::Clear => {
                let clear = |model: &mut Model| model.clear(user);
                self.change_member(step, "DELETE", "", None, clear).await;
            }
            Action::Mute(on) => {
                let method = if on { "PUT" } else { "DELETE" };
                let mute = |model: &mut Model| model.member(user).unwrap().muted = on;
                self.change_member(step, method, "/mute", None, mute).await;
            }
            Action::Set { archived, pinned } => {
                let body = Some(patch(archived, pinned));
                let set = |model: &mut Model| model.set(user, archived, pinned);
                self.change_member(step, "PATCH", "", body, set).await;
            }
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
        self.archive_older().await;
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

    /// Changes the marks or settings of the user of a step, by a request whose path continues that of the conversation.
    async fn change_member(
        &mut self,
        &Step { user, service, .. }: &Step,
        method: &str,
        what: &str,
        body: Option<Value>,
        change: impl FnOnce(&mut Model),
    ) {
        let path = self.path(user) + what;
        let app = &self.services[service];
        let answer = app.call(method, &path, &[], body.as_ref()).await;
        if let Some((status, code)) = self.model.refuses_stranger(user) {
            answer.problem(status, code);
            return;
        }
        self.model.drop_old(Self::limit(service));
        change(&mut self.model);
        assert_eq!(known(answer.json(200)), self.model.state(user));
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
        let mut expected = self.model.page(user, limit);
        self.archive_unread(&mut expected);
        assert_eq!(known(answer.json(200)), expected, "{path}");
        if !peek {
            let last = self.model.last();
            self.model.mark_read(user, last);
        }
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

/// A patch with the settings that are not `None`.
fn patch(archived: Option<bool>, pinned: Option<bool>) -> Value {
    let mut patch = json!({});
    for (name, value) in [("archived", archived), ("pinned", pinned)] {
        if let Some(value) = value {
            patch[name] = json!(value);
        }
    }
    patch
}

/// A service without limits, and one that keeps few messages.
fn services() -> [TestApp; 2] {
    let app = spawn_app();
    let url = app.redis_url.clone();
    let limit = LIMIT.to_string();
    let limited = spawn_app_with(&["--redis-url", &url, "--history-limit", &limit]);
    [app, limited]
}

/// An open room with two members.
async fn begin<'a>(
    services: &'a [TestApp; 2],
    archive: Option<&'a ArchivedApp>,
    case: u32,
) -> Scenario<'a> {
    let names = ["u", "u.", "U", "room"].map(|name| format!("{name}{case}"));
    let mut scenario = Scenario {
        services,
        model: Model::of(names.to_vec(), format!("room:r{case}")),
        archive,
    };
    scenario.change(true, true).await;
    for user in 0..2 {
        scenario.join(user, Role::Member).await;
    }
    scenario
}

#[test]
fn a_room_agrees_with_its_model() {
    let services = services();
    run_cases(40, &scenarios(), async |case, steps| {
        let mut scenario = begin(&services, None, case).await;
        for steps in steps.chunks(STEPS_BETWEEN_CHECKS) {
            for step in steps {
                scenario.apply(step).await;
            }
            scenario.assert_agreement().await;
        }
    });
}

#[test]
fn badges_agree_with_the_totals_after_each_step() {
    run_cases(8, &scenarios(), async |case, steps| {
        // New ones, because after a minute they begin to drop old messages by themselves.
        let services = services();
        let mut scenario = begin(&services, None, case).await;
        let (app, names) = (&services[0], scenario.model.names.clone());
        let mut badges = BadgeLog::open(app, "push").await;
        for step in &steps {
            scenario.apply(step).await;
            app.all_filed().await;
            badges.assert_agreement(app, &names).await;
        }
    });
}
