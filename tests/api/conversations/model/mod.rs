//! Property test: random sequences of actions of three users are applied to the service and to a
//! model of a hundred lines. A difference is shrunk to the shortest sequence that shows it.

mod reference;
mod steps;
mod time;

use chrono::{DateTime, TimeDelta, Utc};
use duologue::model::{Retention, rfc3339};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::models::{delete, run_cases, set_reaction};
use crate::harness::{TestApp, spawn_app, spawn_app_with};
use reference::{Model, Perspective};
use steps::{Action, Draft, Page, Read, Step, scenarios};

/// Steps between two comparisons of the whole state.
const STEPS_BETWEEN_CHECKS: usize = 6;

/// Maximum number of messages that one change drops.
const DROPPED_BY_A_CHANGE: u64 = 16;

/// A service, and what it keeps. All have the same Redis, so a limit is lowered and raised from step to
/// step.
struct Service {
    app: TestApp,
    kept: Retention,
}

/// A sequence of steps, applied to the services and to the model.
struct Scenario<'a> {
    services: &'a [Service],
    /// The service that runs the current step.
    app: &'a TestApp,
    kept: Retention,
    /// When imported messages were sent, about.
    past: DateTime<Utc>,
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
        let service = &self.services[step.service];
        (self.app, self.kept) = (&service.app, service.kept);
        match step.action {
            Action::Send(draft) => self.send(who, draft).await,
            Action::Read(read) => self.read(who, read).await,
            Action::MarkRead { seq, private } => {
                self.drop_old(who);
                self.model.mark_read(who, seq, private);
                let [user, peer] = self.names(who);
                let path = format!("/conversations/{user}/{peer}/read");
                let receipt = json!({"seq": seq, "private": private});
                let answer = self.app.ask(Method::PUT, &path, &receipt).await;
                assert_eq!(answer.json(200), self.model.state(who), "{receipt}");
            }
            Action::MarkDelivered(seq) => {
                self.drop_old(who);
                self.model.mark_delivered(who, seq);
                self.mark(Method::PUT, who, "delivered", seq).await;
            }
            Action::MarkUnread(seq) => {
                self.drop_old(who);
                self.model.mark_unread(who, seq);
                self.mark(Method::POST, who, "unread", seq).await;
            }
            Action::Clear => {
                self.drop_old(who);
                self.model.clear(who);
                self.change(Method::DELETE, who, "").await;
            }
            Action::Block(on) => {
                self.drop_old(who);
                self.model.side(who).blocked = on;
                self.change(switch(on), who, "/block").await;
            }
            Action::Mute(days) => {
                self.drop_old(who);
                let until = days.map(|days| rfc3339(Utc::now() + TimeDelta::days(days)));
                self.model.mute(who, until.as_deref());
                let [user, peer] = self.names(who);
                let path = format!("/conversations/{user}/{peer}/mute");
                let mute = json!({"until": until});
                let answer = self.app.ask(Method::PUT, &path, &mute).await;
                assert_eq!(answer.json(200), self.model.state(who), "{mute}");
            }
            Action::Unmute => {
                self.drop_old(who);
                self.model.unmute(who);
                self.change(Method::DELETE, who, "/mute").await;
            }
            Action::Set {
                archived,
                pinned,
                metadata,
            } => {
                self.drop_old(who);
                self.model.set(who, archived, pinned, metadata);
                let mut patch = json!({});
                if let Some(archived) = archived {
                    patch["archived"] = json!(archived);
                }
                if let Some(pinned) = pinned {
                    patch["pinned"] = json!(pinned);
                }
                if let Some(number) = metadata {
                    patch["metadata"] = reference::metadata(number);
                }
                let [user, peer] = self.names(who);
                let answer = self.app.patch(user, peer, &patch).await;
                assert_eq!(answer.json(200), self.model.state(who), "{patch}");
            }
            Action::Import(count) => self.import(who, count).await,
            Action::Age(days) => self.age(days).await,
            Action::Edit { seq, metadata } => self.edit(who, seq, metadata).await,
            Action::Delete(seq) => self.delete(who, seq).await,
            Action::React { seq, emoji, on } => self.react(who, seq, emoji, on).await,
        }
    }

    fn names(&self, who: Perspective) -> [&str; 2] {
        [who.user, who.peer].map(|user| self.model.names[user].as_str())
    }

    /// Drops in the model what the service drops in the step.
    fn drop_old(&mut self, who: Perspective) -> u64 {
        self.model.drop_old(who, self.kept, DROPPED_BY_A_CHANGE)
    }

    async fn import(&mut self, who: Perspective, count: usize) {
        let mut messages = Vec::new();
        for n in 0..count {
            let [from, to] = self.names(if n % 2 == 0 { who } else { who.other() });
            let (from, to) = (from.to_owned(), to.to_owned());
            let seconds = i64::try_from(self.model.tick()).unwrap();
            let sent_at = self.past + TimeDelta::seconds(seconds);
            let mut message =
                json!({"from": from, "to": to, "body": "old", "sent_at": rfc3339(sent_at)});
            // One does not expire, one will, one has expired.
            if let Some(days) = [None, Some(30), Some(1)][n % 3] {
                message["expires_at"] = json!(rfc3339(sent_at + TimeDelta::days(days)));
            }
            messages.push(message);
        }
        let lines: Vec<_> = messages.iter().map(Value::to_string).collect();
        let headers = [("content-type", "application/x-ndjson")];
        let answer = self
            .app
            .call_text("POST", "/messages/batch", &headers, lines.join("\n"));
        let answer = answer.await;
        if !self.model.is_importable(who) {
            answer.problem(409, "IMPORT_CONFLICT");
            return;
        }
        assert_eq!(answer.json(200)["imported"], count);
        let dropped = self.drop_old(who);
        let [user, peer] = self.names(who);
        // Read by a service without limits, as they are stored; those that are dropped again have
        // been stored too, but nobody sees what they are.
        let page = self.services[0].app.page(user, peer, "peek=true&limit=200");
        let stored = page.await["history"].as_array().unwrap().clone();
        let first = self.model.last(who) + 1;
        for (seq, message) in (first..).zip(&mut messages) {
            if let Some(stored) = stored.iter().find(|stored| stored["seq"] == seq) {
                assert_eq!(stored["sent_at"], message["sent_at"]);
                *message = stored.clone();
            }
            message["seq"] = json!(seq);
        }
        self.model.imported(who, messages);
        let most = DROPPED_BY_A_CHANGE - dropped;
        self.model.drop_old(who, self.kept, most);
    }

    async fn send(
        &mut self,
        who: Perspective,
        Draft {
            reply_to,
            metadata,
            expires_in,
        }: Draft,
    ) {
        let [user, peer] = self.names(who);
        let mut message = json!({"from": user, "to": peer, "body": "hi"});
        let lasts = expires_in.map(|days| TimeDelta::days(days).num_seconds());
        if let Some(seq) = reply_to {
            message["reply_to"] = json!(seq);
        }
        if metadata {
            message["metadata"] = json!({"from": peer, "deleted_at": "2026-01-31T12:00:00.000Z"});
        }
        let mut request = message.clone();
        request["expires_in"] = json!(lasts);
        let answer = self.app.post(&request).await;
        let before = *self.model.dropped(who);
        let dropped = self.drop_old(who);
        if let Some((status, code)) = self.model.refuses_send(who, reply_to) {
            answer.problem(status, code);
            *self.model.dropped(who) = before;
            return;
        }
        let sent = answer.json(201);
        assert_eq!(sent["seq"], self.model.last(who) + 1);
        for (name, value) in message.as_object().unwrap() {
            assert_eq!(&sent[name], value);
        }
        assert_eq!(sent.get("expires_at").is_some(), lasts.is_some());
        self.model.sent(who, sent);
        let most = DROPPED_BY_A_CHANGE - dropped;
        self.model.drop_old(who, self.kept, most);
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
        self.drop_old(who);
        assert_eq!(found, self.model.page(who, read), "{query}");
        if read.marks() {
            let last = self.model.last(who);
            self.model.mark_read(who, last, false);
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
        let stored = self.model.message(who, seq);
        let differs = |stored: &mut Value| {
            let mut members = edit.as_object().unwrap().iter();
            members.any(|(name, value)| &stored[name] != value)
        };
        let adds = stored.is_none_or(differs);
        let Some(message) = self.expect_replaced(who, seq, &answer, true, adds) else {
            return;
        };
        // Only another text marks a message as edited.
        let is_marked = !metadata && message["body"] != edit["body"];
        for (name, value) in edit.as_object().unwrap() {
            message[name] = value.clone();
        }
        let edited = answer.json(200);
        if is_marked {
            assert!(edited["edited_at"].is_string(), "{edited}");
            message["edited_at"] = edited["edited_at"].clone();
        }
        assert_eq!(&edited, message);
    }

    async fn delete(&mut self, who: Perspective, seq: u64) {
        let [user, peer] = self.names(who);
        let answer = self.app.delete(user, peer, seq).await;
        let Some(message) = self.expect_deleted(who, seq, &answer) else {
            return;
        };
        let tombstone = answer.json(200);
        if message.get("deleted_at").is_none() {
            delete(message, &tombstone["deleted_at"]);
        }
        assert_eq!(&tombstone, message);
    }

    async fn react(&mut self, who: Perspective, seq: u64, emoji: &str, on: bool) {
        let [user, peer] = self.names(who);
        let answer = self.app.react(switch(on), [user, peer], seq, emoji).await;
        let user = json!(user);
        let reactions = self.model.message(who, seq);
        let users = reactions.map(|message| message["reactions"][emoji].clone());
        let there =
            users.is_some_and(|users| users.as_array().is_some_and(|all| all.contains(&user)));
        let adds = on && !there;
        let Some(message) = self.expect_replaced(who, seq, &answer, false, adds) else {
            return;
        };
        set_reaction(message, emoji, &user, on);
        assert_eq!(&answer.json(200), message);
    }

    /// The message that an edit or a reaction changes; `None` if it must be refused, and was. `adds` is
    /// something new to see, which neither a deleted message nor a peer who blocks takes.
    fn expect_replaced(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
        by_author: bool,
        adds: bool,
    ) -> Option<&mut Value> {
        let user = json!(self.model.names[who.user]);
        let blocked = self.model.side(who.other()).blocked;
        let before = *self.model.dropped(who);
        let mut refusal: Option<Refusal> = match self.model.message(who, seq) {
            None => Some((404, "MESSAGE_NOT_FOUND")),
            Some(message) if by_author && message["from"] != user => Some((403, "FORBIDDEN")),
            Some(message) if adds && message.get("deleted_at").is_some() => {
                Some((409, "MESSAGE_DELETED"))
            }
            Some(_) => None,
        };
        self.drop_old(who);
        if refusal.is_none() && self.model.message(who, seq).is_none() {
            refusal = Some((404, "MESSAGE_NOT_FOUND"));
        } else if refusal.is_none() && adds && blocked {
            refusal = Some((403, "BLOCKED"));
        }
        self.expect(who, seq, answer, refusal, before)
    }

    /// The message that is deleted; `None` if that must be refused, and was.
    fn expect_deleted(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
    ) -> Option<&mut Value> {
        let user = json!(self.model.names[who.user]);
        let before = *self.model.dropped(who);
        self.drop_old(who);
        let refusal = match self.model.message_to_delete(who, seq) {
            None => Some((404, "MESSAGE_NOT_FOUND")),
            Some(message) if message["from"] != user => Some((403, "FORBIDDEN")),
            Some(_) => None,
        };
        self.expect(who, seq, answer, refusal, before)
    }

    /// A refused step drops nothing either.
    fn expect(
        &mut self,
        who: Perspective,
        seq: u64,
        answer: &ApiResponse,
        refusal: Option<Refusal>,
        dropped_before: u64,
    ) -> Option<&mut Value> {
        if let Some((status, code)) = refusal {
            answer.problem(status, code);
            *self.model.dropped(who) = dropped_before;
            return None;
        }
        self.model.message_to_delete(who, seq)
    }

    /// Waits until all inboxes have the versions of their conversations.
    pub async fn inboxes_follow(&self) {
        let names = &self.model.names;
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let app = &self.services[0].app;
            app.inboxes_follow(&names[one], &names[other]).await;
        }
    }

    /// Compares everything that each user can see with the model.
    async fn assert_agreement(&mut self) {
        // By a service without limits, so that looking changes nothing.
        (self.app, self.kept) = (&self.services[0].app, self.services[0].kept);
        self.inboxes_follow().await;
        for user in 0..3 {
            let name = self.model.names[user].clone();
            let expected = self.model.inbox(user);
            assert_eq!(self.app.inbox(&name, "").await, expected, "{name}");
            for archived in [true, false] {
                let mut some = expected["conversations"].as_array().unwrap().clone();
                some.retain(|row| row["archived"] == archived);
                let page = self.app.inbox(&name, &format!("archived={archived}")).await;
                assert_eq!(page["conversations"], json!(some), "{name} {archived}");
            }
            for (total, value) in self.app.totals(&name).await.as_object().unwrap() {
                assert_eq!(value, &expected[total], "{name} {total}");
            }
            for peer in (0..3).filter(|peer| *peer != user) {
                self.read(Perspective { user, peer }, Read::ALL).await;
            }
        }
    }
}

fn switch(on: bool) -> Method {
    if on { Method::PUT } else { Method::DELETE }
}

/// One without limits, one with a history limit, one that drops messages by age.
fn services() -> [Service; 3] {
    let app = spawn_app();
    let url = app.redis_url.clone();
    let with = |setting: &str, messages: u64, days: u32| Service {
        app: spawn_app_with(&[
            "--redis-url",
            &url,
            setting,
            &(messages + u64::from(days)).to_string(),
        ]),
        kept: Retention { messages, days },
    };
    let limited = [with("--history-limit", 6, 0), with("--history-days", 0, 30)];
    let [by_number, by_age] = limited;
    let kept = Retention::default();
    [Service { app, kept }, by_number, by_age]
}

#[test]
fn the_service_agrees_with_the_model() {
    let services = services();
    run_cases(60, &scenarios(), async |case, steps| {
        // The names sort differently from case to case, and some contain others.
        let names = ["u", "u.", "U"].map(|name| format!("{name}{case}"));
        let mut scenario = Scenario {
            services: &services,
            app: &services[0].app,
            kept: services[0].kept,
            past: Utc::now() - TimeDelta::days(5),
            model: Model::of(names),
        };
        for steps in steps.chunks(STEPS_BETWEEN_CHECKS) {
            for step in steps {
                scenario.apply(step).await;
            }
            scenario.assert_agreement().await;
        }
    });
}
