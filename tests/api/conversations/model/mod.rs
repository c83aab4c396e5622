//! Property test: random sequences of actions of three users are applied to the service and to a
//! model of a hundred lines. A difference is shrunk to the shortest sequence that shows it.

mod steps;
mod truth;

use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, conversations::message_path, spawn_app};
use steps::{Deed, Page, Step, stories};
use truth::{Truth, Who};

/// Steps between two comparisons of the whole state.
const LOOK: usize = 6;

/// A sequence of steps, applied to the service and to the model.
struct Story<'a> {
    app: &'a TestApp,
    truth: Truth,
}

/// Checks that a response is a refusal with this status and code.
type Refusal = (u16, &'static str);

impl Story<'_> {
    async fn tell(&mut self, step: &Step) {
        let who = Who {
            user: step.user,
            peer: step.peer,
        };
        match step.deed {
            Deed::Send { reply_to, metadata } => self.send(who, reply_to, metadata).await,
            Deed::Read { peek, page, limit } => self.read(who, peek, page, limit).await,
            Deed::MarkRead(seq) => {
                self.truth.mark_read(who, seq);
                self.mark(Method::PUT, who, "read", seq).await;
            }
            Deed::MarkDelivered(seq) => {
                self.truth.mark_delivered(who, seq);
                self.mark(Method::PUT, who, "delivered", seq).await;
            }
            Deed::MarkUnread(seq) => {
                self.truth.mark_unread(who, seq);
                self.mark(Method::POST, who, "unread", seq).await;
            }
            Deed::Clear => {
                self.truth.clear(who);
                self.change(Method::DELETE, who, "").await;
            }
            Deed::Block(on) => {
                self.truth.side(who).blocked = on;
                self.change(switch(on), who, "/block").await;
            }
            Deed::Mute(on) => {
                self.truth.side(who).muted = on;
                self.change(switch(on), who, "/mute").await;
            }
            Deed::Edit { seq, metadata } => self.edit(who, seq, metadata).await,
            Deed::Delete(seq) => self.delete(who, seq).await,
            Deed::React { seq, emoji, on } => self.react(who, seq, emoji, on).await,
        }
    }

    fn names(&self, who: Who) -> [&str; 2] {
        [who.user, who.peer].map(|user| self.truth.names[user].as_str())
    }

    async fn send(&mut self, who: Who, reply_to: Option<u64>, metadata: bool) {
        let [user, peer] = self.names(who);
        let mut message = json!({"from": user, "to": peer, "body": "hi"});
        if let Some(seq) = reply_to {
            message["reply_to"] = json!(seq);
        }
        if metadata {
            message["metadata"] = json!({"from": peer, "deleted_at": "2026-01-31T12:00:00.000Z"});
        }
        let answer = self.app.post(&message).await;
        if let Some((status, code)) = self.truth.refuses_send(who, reply_to) {
            answer.problem(status, code);
            return;
        }
        let sent = answer.json(201);
        assert_eq!(sent["seq"], self.truth.last(who) + 1);
        for (name, value) in message.as_object().unwrap() {
            assert_eq!(&sent[name], value);
        }
        self.truth.sent(who, sent);
    }

    async fn read(&mut self, who: Who, peek: bool, page: Page, limit: u64) {
        let range = match page {
            Page::Newest => String::new(),
            Page::Before(seq) => format!("&before={seq}"),
            Page::After(seq) => format!("&after={seq}"),
            Page::Around(seq) => format!("&around={seq}"),
        };
        let query = format!("limit={limit}&peek={peek}{range}");
        let [user, peer] = self.names(who);
        let found = self.app.page(user, peer, &query).await;
        assert_eq!(found, self.truth.page(who, page, limit), "{query}");
        if !peek {
            let last = self.truth.last(who);
            self.truth.mark_read(who, last);
        }
    }

    async fn mark(&mut self, method: Method, who: Who, what: &str, seq: u64) {
        let [user, peer] = self.names(who);
        let path = format!("/conversations/{user}/{peer}/{what}");
        let answer = self.app.ask(method, &path, &json!({"seq": seq})).await;
        assert_eq!(answer.json(200), self.truth.state(who), "{what} {seq}");
    }

    async fn change(&mut self, method: Method, who: Who, what: &str) {
        let [user, peer] = self.names(who);
        let path = format!("/conversations/{user}/{peer}{what}");
        let answer = self.app.request(method, &path).await;
        assert_eq!(answer.json(200), self.truth.state(who), "{what}");
    }

    async fn edit(&mut self, who: Who, seq: u64, metadata: bool) {
        let edit = if metadata {
            json!({"metadata": {"edited": seq}})
        } else {
            json!({"body": "edited"})
        };
        let [user, peer] = self.names(who);
        let answer = self.app.edit(user, peer, seq, &edit).await;
        let Some(message) = self.found(who, seq, &answer, true, true) else {
            return;
        };
        for (name, value) in edit.as_object().unwrap() {
            message[name] = value.clone();
        }
        let edited = answer.json(200);
        message["edited_at"] = edited["edited_at"].clone();
        assert_eq!(&edited, message);
    }

    async fn delete(&mut self, who: Who, seq: u64) {
        let [user, peer] = self.names(who);
        let answer = self.app.delete(user, peer, seq).await;
        let Some(message) = self.found(who, seq, &answer, true, false) else {
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

    async fn react(&mut self, who: Who, seq: u64, emoji: &str, on: bool) {
        let [user, peer] = self.names(who);
        let (user, path) = (json!(user), message_path(user, peer, seq));
        let path = format!("{path}/reactions/{emoji}");
        let answer = self.app.request(switch(on), &path).await;
        let Some(message) = self.found(who, seq, &answer, false, on) else {
            return;
        };
        let users = message["reactions"][emoji].as_array().cloned();
        let mut users = users.unwrap_or_default();
        match (on, users.contains(&user)) {
            (true, false) => users.push(user),
            (false, true) => users.retain(|other| *other != user),
            _ => {}
        }
        truth::set_reaction(message, emoji, &users);
        assert_eq!(&answer.json(200), message);
    }

    /// The message that a step changes; `None` if the step must be refused, and was.
    fn found(
        &mut self,
        who: Who,
        seq: u64,
        answer: &ApiResponse,
        by_author: bool,
        standing: bool,
    ) -> Option<&mut Value> {
        let user = json!(self.truth.names[who.user]);
        let refusal: Option<Refusal> = match self.truth.message(who, seq) {
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
        self.truth.message(who, seq)
    }

    /// Compares everything that each user can see with the model.
    async fn agrees(&mut self) {
        for user in 0..3 {
            let name = self.truth.names[user].clone();
            let expected = self.truth.inbox(user);
            assert_eq!(self.app.inbox(&name, "").await, expected, "{name}");
            let badge = ["total_unread_count", "unread_conversations"];
            let badge = badge.map(|total| expected[total].as_u64().unwrap());
            assert_eq!(self.app.badge(&name).await, badge, "{name}");
            for peer in (0..3).filter(|peer| *peer != user) {
                self.read(Who { user, peer }, true, Page::Newest, 200).await;
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
    let told = TestRunner::new(config).run(&stories(), |steps| {
        let number = told_before.replace(told_before.get() + 1);
        // The names sort differently from case to case, and some contain others.
        let names = ["u", "u.", "U"].map(|name| format!("{name}{number}"));
        let truth = Truth::of(names);
        let mut story = Story { app: &app, truth };
        runtime.block_on(async {
            for (number, step) in steps.iter().enumerate() {
                story.tell(step).await;
                if number % LOOK == LOOK - 1 {
                    story.agrees().await;
                }
            }
            story.agrees().await;
        });
        Ok(())
    });
    told.unwrap();
}
